#pragma once
// Python's integers beyond 64 bits, up to the 4300 digits that Python itself reads and writes.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace megalith::jinja {

/// Sign and magnitude. Every operation faults if its result has more than kMaxDigits decimal digits.
class BigInteger {
 public:
  static constexpr std::size_t kMaxDigits = 4300;

  BigInteger() = default;
  explicit BigInteger(std::int64_t value);
  /// Of decimal digits alone, without a sign.
  static BigInteger from_decimal(std::string_view digits);
  /// Of a finite number, cut towards zero.
  static BigInteger from_double(double value);

  bool is_negative() const { return is_negative_; }
  bool is_zero() const { return limbs_.empty(); }
  std::size_t limb_count() const { return limbs_.size(); }
  /// The value, if it fits.
  std::optional<std::int64_t> small() const;
  double to_double() const;  // the nearest; infinite if there is none
  std::string text() const;  // as Python prints it
  std::string magnitude_text(unsigned base) const;

  BigInteger negated() const;
  void multiply_and_add(std::uint32_t factor, std::uint32_t addend);  // of the magnitude; both below 10^9
  friend BigInteger operator+(const BigInteger& left, const BigInteger& right);
  friend BigInteger operator-(const BigInteger& left, const BigInteger& right) { return left + right.negated(); }
  friend BigInteger operator*(const BigInteger& left, const BigInteger& right);
  /// Quotient rounded down and a remainder with the sign of the divisor, which is not zero.
  static std::pair<BigInteger, BigInteger> divide_floor(const BigInteger& left, const BigInteger& right);
  /// left / right, exactly rounded; the divisor is not zero.
  static double divide_exactly(const BigInteger& left, const BigInteger& right);
  static BigInteger power(BigInteger base, std::uint64_t exponent);
  /// Negative, zero or positive.
  static int compare(const BigInteger& left, const BigInteger& right);

 private:
  using Limbs = std::vector<std::uint32_t>;  // base 10^9, the lowest first, without zeros at the end

  static int compare_magnitudes(const Limbs& left, const Limbs& right);
  static Limbs add_magnitudes(const Limbs& left, const Limbs& right);
  static Limbs subtract_magnitudes(const Limbs& left, const Limbs& right);  // left is not smaller
  /// Quotient and remainder of magnitudes.
  static std::pair<Limbs, Limbs> divide_magnitudes(const Limbs& left, const Limbs& right);
  static std::uint32_t divide_by_small(Limbs& limbs, std::uint32_t divisor);
  static void trim(Limbs& limbs);
  BigInteger(bool is_negative, Limbs limbs);

  bool is_negative_ = false;
  Limbs limbs_;
};

}  // namespace megalith::jinja
