// A list of addresses for the duration of a call: on the stack, or, if it is long, in memory that the thread keeps for
// the next call. Nested calls have lists of their own.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "threads/of_thread.h"

namespace chainrule {

class Addresses {
 public:
  explicit Addresses(size_t n) {
    if (n <= kOnStack) return;
    Kept& kept = of_thread<Kept>();
    if (kept.count > 0) on_heap_ = std::move(kept.lists[--kept.count]);
    on_heap_.resize(n);
    data_ = on_heap_.data();
  }
  ~Addresses() {
    if (data_ == on_stack_) return;
    Kept& kept = of_thread<Kept>();
    if (kept.count < kKept) kept.lists[kept.count++] = std::move(on_heap_);
  }
  Addresses(const Addresses&) = delete;
  Addresses& operator=(const Addresses&) = delete;

  void** data() { return data_; }
  void*& operator[](size_t i) { return data_[i]; }

 private:
  static constexpr size_t kOnStack = 128, kKept = 4;
  struct Kept {
    std::vector<void*> lists[kKept];
    size_t count = 0;
  };
  void* on_stack_[kOnStack];
  std::vector<void*> on_heap_;
  void** data_ = on_stack_;
};

}  // namespace chainrule
