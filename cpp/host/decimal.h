// Decimal numbers in text to the nearest float64.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace chainrule {

struct CsvNumberStyle {
  char decimal = '.';
  char thousands = 0;  // 0: none
};

enum CsvNumber : uint8_t { kFloating, kInteger, kLargeInteger, kMissing, kCode, kText, kOutOfRange };

// What the field is, and its value; NaN where it is not a number. The memory up to `readable` may be read, too. A code
// has a leading 0 (`02134`) and is a number, too.
CsvNumber parse_number(std::string_view field, const char* readable, const CsvNumberStyle& style,
                       std::span<const std::string_view> missing, double* value);

}  // namespace chainrule
