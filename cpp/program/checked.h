// Sizes come from callers and files. What is computed from them is checked here, before memory is allocated or
// addressed: an overflow of int64_t is undefined, and its usual result a small size.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace chainrule {

// The longest distance within memory or an image with its padding: sums of two do not overflow.
constexpr int64_t kMaxExtent = INT64_MAX / 4;

// A size from 0 to kMaxExtent, or "too large", which all further sums and products remain.
class Extent {
 public:
  constexpr Extent(int64_t value) : value_(value >= 0 && value <= kMaxExtent ? value : kTooLarge) {}  // NOLINT
  constexpr bool fits() const { return value_ != kTooLarge; }
  // Throws std::invalid_argument, beginning with `what`, where the size is too large.
  int64_t value(const std::string& what) const {
    if (!fits()) throw std::invalid_argument(what + ": a size is negative or too large");
    return value_;
  }
  friend constexpr Extent operator+(Extent a, Extent b) {
    return a.fits() && b.fits() ? Extent(a.value_ + b.value_) : Extent(kTooLarge);
  }
  friend constexpr Extent operator*(Extent a, Extent b) {
    if (!a.fits() || !b.fits()) return Extent(kTooLarge);
    return b.value_ == 0 || a.value_ <= kMaxExtent / b.value_ ? Extent(a.value_ * b.value_) : Extent(kTooLarge);
  }

 private:
  static constexpr int64_t kTooLarge = -1;
  int64_t value_;
};

}  // namespace chainrule
