#include "base/cost_meter.h"

#include <algorithm>

namespace megalith {

namespace {
void accumulate(Cost& sum, const Cost& cost) {
  sum.weight_bytes += cost.weight_bytes;
  sum.state_bytes += cost.state_bytes;
  sum.multiply_adds += cost.multiply_adds;
}
}  // namespace

void CostMeter::add(std::string_view op, const Cost& cost, double seconds) {
  auto line = std::find_if(lines_.begin(), lines_.end(), [&](const Line& l) { return l.op == op; });
  if (line == lines_.end()) line = lines_.insert(lines_.end(), Line{op, 0, {}, 0});
  ++line->calls;
  accumulate(line->cost, cost);
  line->seconds += seconds;
}

Cost CostMeter::total() const {
  Cost sum;
  for (const Line& line : lines_) accumulate(sum, line.cost);
  return sum;
}

double CostMeter::total_seconds() const {
  double seconds = 0;
  for (const Line& line : lines_) seconds += line.seconds;
  return seconds;
}

}  // namespace megalith
