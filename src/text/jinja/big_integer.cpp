#include "text/jinja/big_integer.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/budget.h"
#include "text/jinja/number_text.h"

namespace megalith::jinja {
namespace {

constexpr std::uint64_t kBase = 1'000'000'000;
constexpr std::size_t kDigitsPerLimb = 9;
constexpr const char* kTooLong = "an integer of more than 4300 digits is not supported";
constexpr std::size_t kMaxLimbs = BigInteger::kMaxDigits / kDigitsPerLimb + 1;

}  // namespace

BigInteger::BigInteger(std::int64_t value) : is_negative_(value < 0) {
  auto magnitude = value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  for (; magnitude > 0; magnitude /= kBase) limbs_.push_back(static_cast<std::uint32_t>(magnitude % kBase));
}

BigInteger::BigInteger(bool is_negative, Limbs limbs) : is_negative_(is_negative), limbs_(std::move(limbs)) {
  trim(limbs_);
  if (limbs_.empty()) is_negative_ = false;
  if (limbs_.size() > kMaxLimbs) throw Fault(kTooLong);
}

void BigInteger::trim(Limbs& limbs) {
  while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
}

BigInteger BigInteger::from_decimal(std::string_view digits) {
  Limbs limbs;
  while (!digits.empty()) {
    const std::size_t start = digits.size() > kDigitsPerLimb ? digits.size() - kDigitsPerLimb : 0;
    std::uint32_t limb = 0;
    for (char digit : digits.substr(start)) limb = limb * 10 + static_cast<std::uint32_t>(digit - '0');
    limbs.push_back(limb);
    digits = digits.substr(0, start);
    if (limbs.size() > kMaxLimbs + 1) break;  // refused below, whatever follows
  }
  if (!digits.empty()) throw Fault(kTooLong);
  return BigInteger(false, std::move(limbs));
}

BigInteger BigInteger::from_double(double value) {
  BigInteger result = from_decimal(fixed_text(std::trunc(std::fabs(value)), 0));
  return value < 0 ? result.negated() : result;
}

void BigInteger::multiply_and_add(std::uint32_t factor, std::uint32_t addend) {
  std::uint64_t carry = addend;
  for (std::uint32_t& limb : limbs_) {
    carry += static_cast<std::uint64_t>(limb) * factor;
    limb = static_cast<std::uint32_t>(carry % kBase);
    carry /= kBase;
  }
  if (carry > 0) limbs_.push_back(static_cast<std::uint32_t>(carry));
  if (limbs_.size() > kMaxLimbs) throw Fault(kTooLong);
}

std::optional<std::int64_t> BigInteger::small() const {
  if (limbs_.size() > 3) return std::nullopt;
  std::int64_t value = 0;
  for (std::size_t i = limbs_.size(); i-- > 0;) {
    const auto limb = static_cast<std::int64_t>(limbs_[i]);
    if (__builtin_mul_overflow(value, static_cast<std::int64_t>(kBase), &value) ||
        __builtin_add_overflow(value, is_negative_ ? -limb : limb, &value))
      return std::nullopt;
  }
  return value;
}

double BigInteger::to_double() const {
  constexpr std::size_t kFiniteLimbs = 36;  // 1.8e308 has 309 digits
  if (limbs_.size() > kFiniteLimbs) return is_negative_ ? -HUGE_VAL : HUGE_VAL;
  return parse_float(text()).value_or(0.0);
}

std::string BigInteger::text() const { return (is_negative_ ? "-" : "") + magnitude_text(10); }

std::string BigInteger::magnitude_text(unsigned base) const {
  if (limbs_.empty()) return "0";
  std::string result;  // the last digit first
  if (base == 10) {
    for (std::uint32_t limb : limbs_) {
      for (std::size_t i = 0; i < kDigitsPerLimb; ++i, limb /= 10) result.push_back(static_cast<char>('0' + limb % 10));
    }
    result.erase(result.find_last_not_of('0') + 1);
  } else {
    for (Limbs rest = limbs_; !rest.empty();) result.push_back("0123456789abcdef"[divide_by_small(rest, base)]);
  }
  std::reverse(result.begin(), result.end());
  return result;
}

BigInteger BigInteger::negated() const { return BigInteger(!is_negative_, limbs_); }

int BigInteger::compare_magnitudes(const Limbs& left, const Limbs& right) {
  if (left.size() != right.size()) return left.size() < right.size() ? -1 : 1;
  for (std::size_t i = left.size(); i-- > 0;) {
    if (left[i] != right[i]) return left[i] < right[i] ? -1 : 1;
  }
  return 0;
}

int BigInteger::compare(const BigInteger& left, const BigInteger& right) {
  if (left.is_negative_ != right.is_negative_) return left.is_negative_ ? -1 : 1;
  const int order = compare_magnitudes(left.limbs_, right.limbs_);
  return left.is_negative_ ? -order : order;
}

BigInteger::Limbs BigInteger::add_magnitudes(const Limbs& left, const Limbs& right) {
  Limbs sum;
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < std::max(left.size(), right.size()) || carry > 0; ++i) {
    carry += (i < left.size() ? left[i] : 0) + static_cast<std::uint64_t>(i < right.size() ? right[i] : 0);
    sum.push_back(static_cast<std::uint32_t>(carry % kBase));
    carry /= kBase;
  }
  return sum;
}

BigInteger::Limbs BigInteger::subtract_magnitudes(const Limbs& left, const Limbs& right) {
  Limbs difference;
  std::int64_t borrow = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::int64_t limb = static_cast<std::int64_t>(left[i]) - borrow - (i < right.size() ? right[i] : 0);
    borrow = limb < 0 ? 1 : 0;
    if (limb < 0) limb += static_cast<std::int64_t>(kBase);
    difference.push_back(static_cast<std::uint32_t>(limb));
  }
  trim(difference);
  return difference;
}

BigInteger operator+(const BigInteger& left, const BigInteger& right) {
  if (left.is_negative_ == right.is_negative_)
    return {left.is_negative_, BigInteger::add_magnitudes(left.limbs_, right.limbs_)};
  if (BigInteger::compare_magnitudes(left.limbs_, right.limbs_) < 0) {
    return {right.is_negative_, BigInteger::subtract_magnitudes(right.limbs_, left.limbs_)};
  }
  return {left.is_negative_, BigInteger::subtract_magnitudes(left.limbs_, right.limbs_)};
}

BigInteger operator*(const BigInteger& left, const BigInteger& right) {
  BigInteger::Limbs product(left.limbs_.size() + right.limbs_.size(), 0);
  for (std::size_t i = 0; i < left.limbs_.size(); ++i) {
    std::uint64_t carry = 0;
    for (std::size_t j = 0; j < right.limbs_.size() || carry > 0; ++j) {
      carry += product[i + j];
      if (j < right.limbs_.size()) carry += static_cast<std::uint64_t>(left.limbs_[i]) * right.limbs_[j];
      product[i + j] = static_cast<std::uint32_t>(carry % kBase);
      carry /= kBase;
    }
  }
  return {left.is_negative_ != right.is_negative_, std::move(product)};
}

std::uint32_t BigInteger::divide_by_small(Limbs& limbs, std::uint32_t divisor) {
  std::uint64_t remainder = 0;
  for (std::size_t i = limbs.size(); i-- > 0;) {
    remainder = remainder * kBase + limbs[i];
    limbs[i] = static_cast<std::uint32_t>(remainder / divisor);
    remainder %= divisor;
  }
  trim(limbs);
  return static_cast<std::uint32_t>(remainder);
}

/// Schoolbook division; each digit of the quotient is found by halving an interval of 10^9 (30 comparisons), because
/// numbers here are few and short.
std::pair<BigInteger::Limbs, BigInteger::Limbs> BigInteger::divide_magnitudes(const Limbs& left, const Limbs& right) {
  if (right.size() == 1) {
    Limbs quotient = left;
    const std::uint32_t remainder = divide_by_small(quotient, right.front());
    return {std::move(quotient), remainder > 0 ? Limbs{remainder} : Limbs{}};
  }
  Limbs quotient(left.size(), 0), remainder;
  for (std::size_t i = left.size(); i-- > 0;) {
    remainder.insert(remainder.begin(), left[i]);
    trim(remainder);
    std::uint32_t least = 0, past = static_cast<std::uint32_t>(kBase);
    Limbs taken;  // least * right
    while (past - least > 1 && compare_magnitudes(remainder, right) >= 0) {
      const std::uint32_t middle = least + (past - least) / 2;
      BigInteger product(false, right);
      product.multiply_and_add(middle, 0);
      if (compare_magnitudes(product.limbs_, remainder) <= 0) {
        least = middle;
        taken = std::move(product.limbs_);
      } else {
        past = middle;
      }
    }
    quotient[i] = least;
    remainder = subtract_magnitudes(remainder, taken);
  }
  trim(quotient);
  return {std::move(quotient), std::move(remainder)};
}

std::pair<BigInteger, BigInteger> BigInteger::divide_floor(const BigInteger& left, const BigInteger& right) {
  auto [quotient_limbs, remainder_limbs] = divide_magnitudes(left.limbs_, right.limbs_);
  const bool is_negative = left.is_negative_ != right.is_negative_;
  BigInteger quotient(is_negative, std::move(quotient_limbs));
  BigInteger remainder(left.is_negative_, std::move(remainder_limbs));
  if (is_negative && !remainder.is_zero()) return {quotient - BigInteger(1), remainder + right};
  return {std::move(quotient), std::move(remainder)};
}

double BigInteger::divide_exactly(const BigInteger& left, const BigInteger& right) {
  // As many limbs of quotient as settle every rounding; one more digit says that something follows.
  constexpr std::size_t kQuotientLimbs = 6;
  const std::size_t wanted = right.limbs_.size() + kQuotientLimbs;
  const std::size_t shift = wanted > left.limbs_.size() ? wanted - left.limbs_.size() : 0;
  Limbs shifted(shift, 0);
  shifted.insert(shifted.end(), left.limbs_.begin(), left.limbs_.end());
  trim(shifted);
  auto [quotient, remainder] = divide_magnitudes(shifted, right.limbs_);
  std::string digits = BigInteger(false, std::move(quotient)).magnitude_text(10);
  digits += remainder.empty() ? ".0e-" : ".1e-";
  const double magnitude = parse_float(digits + std::to_string(shift * kDigitsPerLimb)).value_or(0.0);
  return left.is_negative_ != right.is_negative_ ? -magnitude : magnitude;
}

BigInteger BigInteger::power(BigInteger base, std::uint64_t exponent) {
  BigInteger result(1);
  while (exponent > 0) {
    if ((exponent & 1) != 0) result = result * base;
    exponent >>= 1;
    if (exponent > 0) base = base * base;
  }
  return result;
}

}  // namespace megalith::jinja
