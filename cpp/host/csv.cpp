#include "host/csv.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace chainrule {

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Scanner {
 public:
  Scanner(std::string_view text, const CsvDialect& dialect)
      : begin_(text.data()), stop_(begin_ + text.size()), dialect_(dialect), blanks_(dialect.delimiter == ' ') {
    ends_field_.fill(false);
    for (char c : {dialect.delimiter, blanks_ ? '\t' : dialect.delimiter, '\n', '\r'})
      ends_field_[static_cast<unsigned char>(c)] = true;
  }

  CsvRecords run() {
    p_ = begin_;
    const size_t guess = static_cast<size_t>(stop_ - begin_) / 8;
    out_.starts.reserve(guess);
    out_.ends.reserve(guess);
    out_.doubled.reserve(guess);
    while (p_ < stop_ && record()) {
      out_.end = p_ - begin_;
      out_.line_count = line_;
    }
    out_.first.push_back(static_cast<int64_t>(complete_));
    out_.starts.resize(complete_);
    out_.ends.resize(complete_);
    out_.doubled.resize(complete_);
    return std::move(out_);
  }

 private:
  // Reads a line or record; false where it is cut off or malformed.
  bool record() {
    const int64_t line = line_;
    if (*p_ == '\n' || *p_ == '\r') return line_end();
    if (static_cast<unsigned char>(*p_) == dialect_.comment) {
      while (p_ < stop_ && *p_ != '\n' && *p_ != '\r') ++p_;
      return p_ < stop_ ? line_end() : dialect_.last;
    }
    if (blanks_) skip_blanks();
    for (;;) {
      if (!field()) return false;
      if (p_ < stop_ && blanks_) skip_blanks();
      if (p_ == stop_) {
        if (!dialect_.last) return false;
        break;
      }
      if (*p_ == '\n' || *p_ == '\r') {
        if (!line_end()) return false;
        break;
      }
      if (!blanks_) ++p_;  // the delimiter
    }
    const size_t fields = out_.starts.size() - complete_;
    if (fields == 1 && out_.starts.back() == out_.ends.back() && !quoted_) {  // an empty line
      out_.starts.pop_back();
      out_.ends.pop_back();
      out_.doubled.pop_back();
      return true;
    }
    out_.first.push_back(static_cast<int64_t>(complete_));
    out_.lines.push_back(line);
    complete_ += fields;
    return true;
  }

  bool line_end() {
    if (*p_ == '\r') {
      if (p_ + 1 == stop_ && !dialect_.last) return false;  // a \n may follow
      if (p_ + 1 < stop_ && p_[1] == '\n') ++p_;
    }
    ++p_;
    ++line_;
    return true;
  }

  void skip_blanks() {
    while (p_ < stop_ && is_blank(*p_) && (blanks_ || *p_ != dialect_.delimiter)) ++p_;
  }

  bool field() {
    skip_blanks();
    quoted_ = p_ < stop_ && *p_ == '"';
    if (quoted_) return quoted();
    const char* start = p_;
    while (p_ < stop_ && !ends_field_[static_cast<unsigned char>(*p_)]) ++p_;
    const char* end = p_;
    while (end > start && is_blank(end[-1])) --end;
    return add(start, end, false, line_);
  }

  bool quoted() {
    const char* start = ++p_;
    const int64_t line = line_;
    bool doubled = false;
    for (;; ++p_) {
      if (p_ == stop_ || p_ - start > kLongestField) {
        if (p_ == stop_ && !dialect_.last) return false;
        return malformed(p_ == stop_ ? CsvFault::kOpenQuote : CsvFault::kLongField, line);
      }
      if (*p_ == '"') {
        if (p_ + 1 == stop_ && !dialect_.last) return false;
        if (p_ + 1 == stop_ || p_[1] != '"') break;
        doubled = true;
        ++p_;
      } else if (*p_ == '\n' || (*p_ == '\r' && !(p_ + 1 < stop_ && p_[1] == '\n'))) {
        ++line_;
      }
    }
    const char* end = p_++;
    skip_blanks();
    if (p_ < stop_ && !ends_field_[static_cast<unsigned char>(*p_)] && !(blanks_ && is_blank(end[1])))
      return malformed(CsvFault::kAfterQuote, line);
    return add(start, end, doubled, line);
  }

  bool add(const char* start, const char* end, bool doubled, int64_t line) {
    if (end - start > kLongestField) return malformed(CsvFault::kLongField, line);
    out_.starts.push_back(start - begin_);
    out_.ends.push_back(end - begin_);
    out_.doubled.push_back(doubled);
    return true;
  }

  bool malformed(CsvFault fault, int64_t line) {
    out_.fault = fault;
    out_.fault_line = line;
    return false;
  }

  const char* begin_;
  const char* stop_;
  CsvDialect dialect_;
  bool blanks_;
  std::array<bool, 256> ends_field_;
  const char* p_ = nullptr;
  bool quoted_ = false;  // the last field
  int64_t line_ = 0;
  size_t complete_ = 0;  // fields of complete records
  CsvRecords out_;
};

constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                              1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr uint64_t kExact = uint64_t{1} << 53;

// A number with a decimal point and without groups.
CsvNumber plain_number(std::string_view text, double* value) {
  const char *p = text.data(), *stop = p + text.size();
  const bool negative = p < stop && *p == '-';
  if (p < stop && (*p == '-' || *p == '+')) ++p;
  const char* digits = p;
  uint64_t mantissa = 0;
  while (p < stop && is_digit(*p)) mantissa = mantissa * 10 + static_cast<uint64_t>(*p++ - '0');
  const int64_t whole = p - digits;
  int64_t fraction = 0;
  if (p < stop && *p == '.') {
    const char* point = p++;
    while (p < stop && is_digit(*p)) mantissa = mantissa * 10 + static_cast<uint64_t>(*p++ - '0');
    fraction = p - point - 1;
  }
  if (whole + fraction == 0) return kText;
  const bool point = p - digits > whole;
  if (p == stop && whole + fraction <= 19 && mantissa <= kExact) {  // two exact numbers, one rounding
    const double magnitude = static_cast<double>(mantissa) / kPowers[fraction];
    *value = negative ? -magnitude : magnitude;
  } else {
    const auto [end, error] = std::from_chars(digits, stop, *value);
    if (end != stop || error == std::errc::invalid_argument) return kText;
    if (error == std::errc::result_out_of_range) return kOutOfRange;
    if (negative) *value = -*value;
  }
  if (point || p != stop) return kFloating;
  if (whole > 1 && *digits == '0') return kCode;
  return std::abs(*value) < static_cast<double>(kExact) ? kInteger : kLargeInteger;
}

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

CsvRecords scan_csv(std::string_view text, const CsvDialect& dialect) { return Scanner(text, dialect).run(); }

CsvNumber parse_number(std::string_view field, const CsvNumberStyle& style, std::span<const std::string_view> missing,
                       double* value) {
  while (!field.empty() && is_blank(field.front())) field.remove_prefix(1);
  while (!field.empty() && is_blank(field.back())) field.remove_suffix(1);
  *value = std::numeric_limits<double>::quiet_NaN();
  if (field.empty()) return kMissing;
  std::array<char, 64> buffer;
  const bool plain = style.decimal == '.' && !style.thousands;
  const CsvNumber found = plain_number(plain ? field : as_plain(field, style, buffer), value);
  if (found == kText || found == kOutOfRange) *value = std::numeric_limits<double>::quiet_NaN();
  if (found == kText && std::find(missing.begin(), missing.end(), field) != missing.end()) return kMissing;
  return found;
}

}  // namespace chainrule
