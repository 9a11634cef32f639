#include "host/csv.h"

#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace chainrule {

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// Where fields may end: at the delimiter and at line ends. 64 bytes at a time, a bit for each: a field of 18 bytes
// costs a third of a search byte by byte.
class FieldEnds {
 public:
  FieldEnds(const char* begin, const char* stop, char delimiter)
      : stop_(stop), base_(begin), ends_{delimiter, delimiter == ' ' ? '\t' : delimiter, '\n', '\r'} {}

  bool is_end(char c) const { return c == ends_[0] || c == ends_[1] || c == '\n' || c == '\r'; }

  // The first end at p or behind it. Going back is allowed.
  const char* next(const char* p) {
    for (;;) {
      if (p >= base_ && p - base_ < known_) {
        const uint64_t mask = mask_ >> (p - base_);
        if (mask) return p + std::countr_zero(mask);
        p = base_ + known_;
      }
      if (p >= stop_) return stop_;
      load(p);
    }
  }

 private:
  static constexpr uint64_t kLow = 0x0101010101010101, kSeven = 0x7f * kLow;

  // The highest bit of every byte that is c.
  static uint64_t equal(uint64_t bytes, char c) {
    const uint64_t x = bytes ^ (kLow * static_cast<unsigned char>(c));
    return ~(((x & kSeven) + kSeven) | x | kSeven);
  }

  void load(const char* p) {
    base_ = p;
    mask_ = 0;
    if (stop_ - p < 64) {
      known_ = stop_ - p;
      for (int64_t i = 0; i < known_; ++i) mask_ |= uint64_t{is_end(p[i])} << i;
      return;
    }
    known_ = 64;
    for (int i = 0; i < 8; ++i) {
      uint64_t bytes;
      std::memcpy(&bytes, p + 8 * i, sizeof bytes);
      uint64_t found = equal(bytes, ends_[0]) | equal(bytes, '\n') | equal(bytes, '\r');
      if (ends_[1] != ends_[0]) found |= equal(bytes, ends_[1]);
      mask_ |= (((found >> 7) * 0x0102040810204080) >> 56) << (8 * i);  // one bit for each byte
    }
  }

  const char* stop_;
  const char* base_;   // of the bytes whose ends are known
  int64_t known_ = 0;  // so many
  uint64_t mask_ = 0;
  std::array<char, 4> ends_;
};

class Scanner {
 public:
  Scanner(std::string_view text, const CsvDialect& dialect)
      : begin_(text.data()),
        stop_(begin_ + text.size()),
        dialect_(dialect),
        blanks_(dialect.delimiter == ' '),
        ends_(begin_, stop_, dialect.delimiter) {}

  CsvRecords run() {
    p_ = begin_;
    out_.fields.reserve(static_cast<size_t>(stop_ - begin_) / 8);
    while (p_ < stop_ && record()) {
      out_.end = p_ - begin_;
      out_.line_count = line_;
    }
    out_.first.push_back(static_cast<int64_t>(complete_));
    out_.fields.resize(complete_);
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
    const size_t fields = out_.fields.size() - complete_;
    if (fields == 1 && out_.fields.back().begin == out_.fields.back().end && !quoted_) {  // an empty line
      out_.fields.pop_back();
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
    p_ = ends_.next(p_);
    const char* end = p_;
    while (end > start && is_blank(end[-1])) --end;
    return add(start, end, false, line_);
  }

  bool quoted() {
    const char* start = ++p_;
    const int64_t line = line_;
    bool doubled = false;
    for (;;) {
      const auto* quote = static_cast<const char*>(std::memchr(p_, '"', static_cast<size_t>(stop_ - p_)));
      if ((quote ? quote : stop_) - start > kLongestField) return malformed(CsvFault::kLongField, line);
      if (!quote) return dialect_.last && malformed(CsvFault::kOpenQuote, line);
      count_lines(p_, quote);
      p_ = quote;
      if (p_ + 1 == stop_ && !dialect_.last) return false;
      if (p_ + 1 == stop_ || p_[1] != '"') break;
      doubled = true;
      p_ += 2;
    }
    const char* end = p_++;
    skip_blanks();
    if (p_ < stop_ && !ends_.is_end(*p_) && !(blanks_ && is_blank(end[1])))
      return malformed(CsvFault::kAfterQuote, line);
    return add(start, end, doubled, line);
  }

  void count_lines(const char* from, const char* to) {
    for (const char* p = ends_.next(from); p < to; p = ends_.next(p + 1))
      line_ += *p == '\n' || (*p == '\r' && p[1] != '\n');
  }

  bool add(const char* start, const char* end, bool doubled, int64_t line) {
    if (end - start > kLongestField) return malformed(CsvFault::kLongField, line);
    const int32_t first = static_cast<int32_t>(start - begin_), last = static_cast<int32_t>(end - begin_);
    out_.fields.push_back({doubled ? -1 - first : first, last});
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
  FieldEnds ends_;
  const char* p_ = nullptr;
  bool quoted_ = false;  // the last field
  int64_t line_ = 0;
  size_t complete_ = 0;  // fields of complete records
  CsvRecords out_;
};

}  // namespace

TextCheck check_text(std::string_view text) {
  unsigned char all = 0, zero = 0;
  int64_t lines = 0;
  for (const char c : text) {
    all |= static_cast<unsigned char>(c);
    zero |= c == 0;
    lines += c == '\n';
  }
  return {all < 128, zero ? static_cast<int64_t>(text.find('\0')) : -1, lines};
}

CsvRecords scan_csv(std::string_view text, const CsvDialect& dialect) { return Scanner(text, dialect).run(); }

}  // namespace chainrule
