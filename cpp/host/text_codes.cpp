#include "host/text_codes.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace chainrule {

namespace {

constexpr size_t kFirstBlock = 256, kLargestBlock = size_t{1} << 16;  // most columns have few texts

}  // namespace

TextCodes::TextCodes() : slots_(64, Slot{0, 0}) {}

void TextCodes::add_missing(std::string_view text) { find(text, kMissing); }

int32_t TextCodes::code(std::string_view text) { return find(text, static_cast<int32_t>(texts_.size())).code; }

const TextCodes::Known& TextCodes::find(std::string_view text, int32_t new_code) {
  const uint64_t hash = std::hash<std::string_view>()(text);
  const uint32_t upper = static_cast<uint32_t>(hash >> 32);
  size_t at = hash & (slots_.size() - 1);
  for (; slots_[at].known != 0; at = (at + 1) & (slots_.size() - 1)) {
    const Known& known = known_[static_cast<size_t>(slots_[at].known - 1)];
    if (slots_[at].hash == upper && known.text == text) return known;
  }
  known_.push_back({kept(text), hash, new_code});
  if (new_code != kMissing) texts_.push_back(known_.back().text);
  slots_[at] = {upper, static_cast<int32_t>(known_.size())};
  if (known_.size() * 2 > slots_.size()) grow();
  return known_.back();
}

std::string_view TextCodes::kept(std::string_view text) {
  if (text.empty()) return {};
  if (text.size() > left_) {
    left_ = std::max(text.size(), std::min(kLargestBlock, kFirstBlock << std::min<size_t>(memory_.size(), 8)));
    memory_.push_back(std::make_unique_for_overwrite<char[]>(left_));
    next_ = memory_.back().get();
  }
  char* const place = next_;
  std::memcpy(place, text.data(), text.size());
  next_ += text.size();
  left_ -= text.size();
  return {place, text.size()};
}

void TextCodes::grow() {
  std::vector<Slot> larger(slots_.size() * 4, Slot{0, 0});
  for (size_t i = 0; i < known_.size(); ++i) {
    size_t at = known_[i].hash & (larger.size() - 1);
    while (larger[at].known != 0) at = (at + 1) & (larger.size() - 1);
    larger[at] = {static_cast<uint32_t>(known_[i].hash >> 32), static_cast<int32_t>(i + 1)};
  }
  slots_ = std::move(larger);
}

}  // namespace chainrule
