#include "host/decimal.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

namespace chainrule {

namespace {

using Wide = unsigned __int128;

constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                              1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr uint64_t kExact = uint64_t{1} << 53;
constexpr int kMostDigits = 19;   // of a uint64_t
constexpr int kExactDigits = 15;  // of a float64
constexpr int kMostFives = 27;    // 5^27 < 2^63

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// 5^k, its number of bits, and 2^(127 + bits) / 5^k, rounded up.
struct Fives {
  uint64_t power;
  int bits;
  uint64_t inverse_high, inverse_low;
};

constexpr std::array<Fives, kMostFives + 1> fives() {
  std::array<Fives, kMostFives + 1> table{};
  uint64_t power = 1;
  for (Fives& row : table) {
    const int bits = 64 - std::countl_zero(power);
    Wide quotient = 0;
    uint64_t rest = 1;
    for (int i = 0; i < 127 + bits; ++i) {
      const bool one = rest * 2 >= power;
      quotient = quotient * 2 + one;
      rest = rest * 2 - (one ? power : 0);
    }
    quotient += 1;
    row = {power, bits, static_cast<uint64_t>(quotient >> 64), static_cast<uint64_t>(quotient)};
    power *= 5;
  }
  return table;
}

constexpr std::array<Fives, kMostFives + 1> kFives = fives();

// The float64 nearest to high * 2^exponent, where `high` has its first bit set and more bits follow in `low`.
double rounded(uint64_t high, uint64_t low, int exponent) {
  uint64_t mantissa = high >> 11;
  const uint64_t rest = high & 0x7ff, half = 0x400;
  mantissa += uint64_t{rest > half} | (uint64_t{rest == half} & (uint64_t{low != 0} | mantissa));  // no branch: 50 %
  return std::bit_cast<double>((static_cast<uint64_t>(exponent + 11 + 1074) << 52) + mantissa);
}

// The float64 nearest to mantissa * 10^exponent, for 0 < mantissa and |exponent| <= kMostFives.
//
// A positive power of 5 is exact, and so is the product of 128 bits. The inverse of one has a relative error below
// 2^-127, and so has the product. A number halfway between two float64 is (2 m + 1) 2^e with 2 m + 1 < 2^54; the
// quotient w / 5^k differs from it by a multiple of 1 / (5^k (2 m + 1)) > 2^-117, relatively, or not at all. So the
// first 118 bits decide, and where those after the 54th are zero it is a tie.
double scaled(uint64_t mantissa, int exponent) {
  const int shift = std::countl_zero(mantissa);
  mantissa <<= shift;
  const Fives& five = kFives[static_cast<size_t>(std::abs(exponent))];
  Wide product;
  int power;
  if (exponent >= 0) {
    product = static_cast<Wide>(mantissa) * (five.power << (64 - five.bits));
    power = five.bits - shift + exponent;
  } else {
    product = static_cast<Wide>(mantissa) * five.inverse_high +
              static_cast<uint64_t>(static_cast<Wide>(mantissa) * five.inverse_low >> 64);
    power = 1 - five.bits - shift + exponent;
  }
  const int small = (product >> 127) == 0;  // as likely as not: no branch
  product <<= small;
  power -= small;
  const uint64_t low = static_cast<uint64_t>(product);
  return rounded(static_cast<uint64_t>(product >> 64), exponent >= 0 ? low : low >> 8, power);
}

uint64_t eight_bytes(const char* p) {
  static_assert(std::endian::native == std::endian::little);
  uint64_t bytes;
  std::memcpy(&bytes, p, sizeof bytes);
  return bytes;
}

constexpr uint64_t kZeros = 0x3030303030303030;  // eight digits ^ kZeros are eight numbers from 0 to 9

// The highest bit of each byte that is no digit.
uint64_t others_in(uint64_t bytes) { return ((bytes + 0x7676767676767676) | bytes) & 0x8080808080808080; }

constexpr uint64_t kTens[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

// The number of eight decimal digits, one in each byte, the first one lowest.
uint64_t value_of_digits(uint64_t bytes) {
  bytes = (bytes * (1 + (10 << 8))) >> 8;                                       // pairs, in every second byte
  bytes = ((bytes & 0x00ff00ff00ff00ff) * (1 + (100 << 16))) >> 16;             // of four, in every fourth
  return ((bytes & 0x0000ffff0000ffff) * (1 + (uint64_t{10000} << 32))) >> 32;  // of eight
}

// Appends the digits before `stop` to the number, eight at a time: numbers of different lengths would mislead the
// prediction of a loop's end. `readable` is the end of the memory.
const char* digits(const char* p, const char* stop, const char* readable, uint64_t* number) {
  uint64_t value = *number;
  while (readable - p >= 8) {
    const uint64_t bytes = eight_bytes(p) ^ kZeros, others = others_in(bytes);
    const int64_t count = std::min<int64_t>(others == 0 ? 8 : std::countr_zero(others) / 8, stop - p);
    if (count == 8) {
      value = value * kTens[8] + value_of_digits(bytes);
      p += 8;
      continue;
    }
    if (count > 0) value = value * kTens[count] + value_of_digits(bytes << (64 - 8 * count));
    *number = value;
    return p + count;
  }
  while (p < stop && is_digit(*p)) value = value * 10 + static_cast<uint64_t>(*p++ - '0');
  *number = value;
  return p;
}

// Digits from the first on that is not 0.
int64_t significant(const char* p, const char* stop) {
  while (p < stop && (*p == '0' || *p == '.')) ++p;
  return stop - p - (std::find(p, stop, '.') < stop);
}

double with_sign(double value, bool negative) {
  return std::bit_cast<double>(std::bit_cast<uint64_t>(value) ^ (uint64_t{negative} << 63));
}

CsvNumber whole_number(double value, bool code, double* out) {
  *out = value;
  if (code) return kCode;
  return std::abs(value) < static_cast<double>(kExact) ? kInteger : kLargeInteger;
}

constexpr int64_t kShort = 25, kShortReadable = kShort + 8;  // bytes

// Whether a number of this size may be a short one.
bool may_be_short(std::string_view field, const char* readable) {
  return static_cast<int64_t>(field.size()) <= kShort && readable - field.data() >= kShortReadable;
}

// Digits with a sign and a point, of usual lengths; false where it is another number, or none. So many bytes as
// kShortReadable are read. Which lengths and signs come next cannot be predicted: few branches depend on them.
bool short_number(std::string_view text, double* value, CsvNumber* kind) {
  const char *p = text.data(), *const stop = p + text.size();
  const bool negative = *p == '-';
  p += int{negative} | int{*p == '+'};
  const char* const begin = p;
  const uint64_t first = eight_bytes(p) ^ kZeros, others = others_in(first);
  const int64_t whole = std::min<int64_t>(others == 0 ? 8 : std::countr_zero(others) / 8, stop - p);
  if (whole == 0 || whole == 8) return false;
  uint64_t mantissa = value_of_digits(first << (64 - 8 * whole));
  p += whole;
  if (p == stop) {
    *kind = whole_number(with_sign(static_cast<double>(mantissa), negative), whole > 1 && *begin == '0', value);
    return true;
  }
  if (*p++ != '.') return false;
  const int64_t decimals = stop - p;
  if (decimals == 0 || whole + decimals > kMostDigits) return false;
  const int64_t head = std::min<int64_t>(decimals, 8);
  const uint64_t bytes = (eight_bytes(p) ^ kZeros) << (64 - 8 * head);
  uint64_t wrong = others_in(bytes);
  mantissa = mantissa * kTens[head] + value_of_digits(bytes);
  if (decimals > 8) {  // two more parts, of which the last may be empty
    const int64_t middle = std::min<int64_t>(decimals - 8, 8), tail = decimals - 8 - middle;
    const uint64_t more = (eight_bytes(p + 8) ^ kZeros) << (64 - 8 * middle);
    const uint64_t last = (eight_bytes(p + 8 + middle) ^ kZeros) << 8 << (56 - 8 * tail);
    wrong |= others_in(more) | others_in(last);
    mantissa = (mantissa * kTens[middle] + value_of_digits(more)) * kTens[tail] + value_of_digits(last);
  }
  if (wrong != 0) return false;
  double size;
  if (whole + decimals <= kExactDigits) {
    size = static_cast<double>(mantissa) / kPowers[decimals];  // two exact numbers, one rounding
  } else {
    if (mantissa == 0) return false;
    size = scaled(mantissa, static_cast<int>(-decimals));
  }
  *value = with_sign(size, negative);
  *kind = kFloating;
  return true;
}

// A number with a decimal point and without groups.
CsvNumber plain_number(std::string_view text, const char* readable, double* value) {
  if (text.empty()) return kText;
  const char *p = text.data(), *const stop = p + text.size();
  const bool negative = *p == '-';
  if (negative || *p == '+') ++p;
  const char* const begin = p;
  uint64_t mantissa = 0;
  p = digits(p, stop, readable, &mantissa);
  const int64_t whole = p - begin;
  int64_t count = whole;
  if (p < stop && *p == '.') {
    const char* const point = ++p;
    p = digits(p, stop, readable, &mantissa);
    count += p - point;
  }
  if (count == 0) return kText;
  int64_t exponent = whole - count;
  const bool fits = count <= kMostDigits || significant(begin, p) <= kMostDigits;
  const bool is_whole = p == stop && exponent == 0 && p - begin == whole;
  if (p < stop) {
    if (*p != 'e' && *p != 'E') return kText;
    ++p;
    const bool below = p < stop && *p == '-';
    if (p < stop && (*p == '-' || *p == '+')) ++p;
    if (p == stop) return kText;
    int64_t power = 0;
    for (; p < stop && is_digit(*p); ++p) power = std::min<int64_t>(power * 10 + (*p - '0'), 1000000);
    if (p < stop) return kText;
    exponent += below ? -power : power;
  }
  double size;
  if (fits && mantissa == 0) {
    size = 0.0;
  } else if (fits && mantissa <= kExact && exponent <= 0 && exponent >= -22) {  // two exact numbers, one rounding
    size = static_cast<double>(mantissa) / kPowers[-exponent];
  } else if (fits && exponent <= kMostFives && exponent >= -kMostFives) {
    size = scaled(mantissa, static_cast<int>(exponent));
  } else if (std::from_chars(begin, stop, size).ec != std::errc()) {
    return kOutOfRange;
  }
  size = with_sign(size, negative);
  if (is_whole) return whole_number(size, whole > 1 && *begin == '0', value);
  *value = size;
  return kFloating;
}

bool is_plain(const CsvNumberStyle& style) { return style.decimal == '.' && !style.thousands; }

// Rewrites a number of another style as a plain one; empty if it is none.
std::string_view as_plain(std::string_view text, const CsvNumberStyle& style, std::array<char, 64>& buffer) {
  if (text.size() > buffer.size()) return {};
  const size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  const size_t point = std::min(text.find(style.decimal), text.size());
  const size_t whole = std::min(point, std::min(text.find_first_of("eE"), text.size()));
  size_t size = 0;
  bool groups = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (style.thousands && c == style.thousands) {
      if (i >= whole || i == sign || (whole - i) % 4 != 0) return {};
      if (i - sign > 3 && !groups) return {};
      groups = true;
    } else if (i < whole && groups && (whole - i) % 4 == 0) {
      return {};  // a group of more than three digits
    } else {
      if (c == '.' && i != point) return {};
      buffer[size++] = i == point ? '.' : c;
    }
  }
  if (groups && text[sign] == '0') return {};
  return {buffer.data(), size};
}

}  // namespace

CsvNumber parse_number(std::string_view field, const char* readable, const CsvNumberStyle& style,
                       std::span<const std::string_view> missing, double* value) {
  const bool plain = is_plain(style);
  CsvNumber found;
  if (plain && may_be_short(field, readable) && short_number(field, value, &found)) return found;
  while (!field.empty() && is_blank(field.front())) field.remove_prefix(1);
  while (!field.empty() && is_blank(field.back())) field.remove_suffix(1);
  *value = std::numeric_limits<double>::quiet_NaN();
  if (field.empty()) return kMissing;
  if (plain) {
    found = plain_number(field, readable, value);
  } else {
    std::array<char, 64> buffer;
    found = plain_number(as_plain(field, style, buffer), buffer.data() + buffer.size(), value);
  }
  if (found == kText || found == kOutOfRange) *value = std::numeric_limits<double>::quiet_NaN();
  if (found == kText && std::find(missing.begin(), missing.end(), field) != missing.end()) return kMissing;
  return found;
}

// Short numbers are read here, not by a call of parse_number: 6 ns instead of 12 for an integer of five digits.
void parse_columns(std::string_view text, const CsvField* fields, int64_t columns, int64_t begin, int64_t end,
                   std::span<const int64_t> wanted, std::span<double* const> out, const CsvNumberStyle& style,
                   std::span<const std::string_view> missing, std::span<uint32_t> found) {
  const char* const readable = text.data() + text.size();
  const bool plain = is_plain(style);
  for (int64_t record = begin; record < end; ++record)
    for (size_t i = 0; i < wanted.size(); ++i) {
      const std::string_view field = fields[record * columns + wanted[i]].of(text);
      double* const value = out[i] + record;
      CsvNumber kind;
      if (!plain || !may_be_short(field, readable) || !short_number(field, value, &kind))
        kind = parse_number(field, readable, style, missing, value);
      found[i] |= 1u << kind;
    }
}

}  // namespace chainrule
