// Tables of text: where records and fields lie, and fields as numbers. Nothing is copied: a field is a pair of offsets.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace chainrule {

struct CsvDialect {
  char delimiter;    // ' ': runs of blanks
  int comment = -1;  // lines that begin with it are left out
  bool last = true;  // no more bytes follow
};

enum class CsvFault : int { kNone, kOpenQuote, kAfterQuote, kLongField };

constexpr int64_t kLongestField = 131072;  // bytes; as Python's csv module

// Records in a piece of a file. A record that is cut off at the end of the piece is left to the next one.
struct CsvRecords {
  std::vector<int64_t> starts, ends;  // of each field, without its quotes or the blanks around it
  std::vector<uint8_t> doubled;       // the field has doubled quotes
  std::vector<int64_t> first;         // the first field of each record, and the number of fields
  std::vector<int64_t> lines;         // at which each record begins, from 0
  int64_t end = 0;                    // bytes up to the last complete record's end
  int64_t line_count = 0;             // lines in these bytes
  CsvFault fault = CsvFault::kNone;   // the record after the last one is malformed,
  int64_t fault_line = 0;             // at this line
};

CsvRecords scan_csv(std::string_view text, const CsvDialect& dialect);

struct CsvNumberStyle {
  char decimal = '.';
  char thousands = 0;  // 0: none
};

enum CsvNumber : uint8_t { kFloating, kInteger, kLargeInteger, kMissing, kCode, kText, kOutOfRange };

// What the field is, and its value; NaN where it is not a number. A code has a leading 0 (`02134`) and is a number,
// too.
CsvNumber parse_number(std::string_view field, const CsvNumberStyle& style, std::span<const std::string_view> missing,
                       double* value);

}  // namespace chainrule
