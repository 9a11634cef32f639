// Different texts numbered in the order in which they come.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace chainrule {

class TextCodes {
 public:
  static constexpr int32_t kMissing = -1;

  TextCodes();
  void add_missing(std::string_view text);  // this text has the code kMissing
  int32_t code(std::string_view text);      // of a text that may go away
  const std::vector<std::string_view>& texts() const { return texts_; }

 private:
  struct Slot {
    uint32_t hash;  // the upper half of it
    int32_t known;  // 0: empty, otherwise the index in known_, plus 1
  };
  struct Known {
    std::string_view text;
    uint64_t hash;
    int32_t code;
  };

  const Known& find(std::string_view text, int32_t new_code);
  std::string_view kept(std::string_view text);
  void grow();

  std::vector<Slot> slots_;  // a power of two of them
  std::vector<Known> known_;
  std::vector<std::string_view> texts_;  // by code
  std::vector<std::unique_ptr<char[]>> memory_;
  size_t left_ = 0;  // bytes at the end of the last block
  char* next_ = nullptr;
};

}  // namespace chainrule
