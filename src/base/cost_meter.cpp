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
  Line& line = line_of(op);
  ++line.calls;
  accumulate(line.cost, cost);
  line.seconds += seconds;
}

void CostMeter::add(const CostMeter& other) {
  for (const Line& added : other.lines_) {
    Line& line = line_of(added.op);
    line.calls += added.calls;
    accumulate(line.cost, added.cost);
    line.seconds += added.seconds;
  }
}

CostMeter::Line& CostMeter::line_of(std::string_view op) {
  const auto line = std::find_if(lines_.begin(), lines_.end(), [&](const Line& l) { return l.op == op; });
  return line != lines_.end() ? *line : lines_.emplace_back(Line{op, 0, {}, 0});
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
