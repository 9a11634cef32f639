// Where a matrix product puts c, and how its epilogue gets to see finished parts while they are in L1.
#pragma once

#include "kernels/pack.h"

namespace chainrule {
namespace {

constexpr int64_t kStripElements = 16 << 10;
static_assert(kStripElements >= kEpilogueElements);

template <class T>
struct Output {
  T* c;  // null: kept by nobody, parts lie in `strip` until the epilogue has seen them
  int64_t rs;
  bool turned = false;  // one row here is one column of the product
  Finish<T> finish = {};
  const Epilogue* epilogue = nullptr;
  int64_t row = 0, col = 0;  // of c in the whole product
  T* strip = nullptr;        // kStripElements of scratch
  Output right_of(int64_t j) const {
    Output part = *this;
    if (c != nullptr) part.c += j;
    if (finish.bias != nullptr) part.finish.bias += j;
    if (finish.kept != nullptr) part.finish.kept += j;
    part.col += j;
    return part;
  }
};

// Tiles are collected until they are worth a call: some strips of whole rows, or some tiles of one strip.
template <class T>
class Region {
 public:
  // Tiles of at most rows x width in c's `columns` columns; `last`: no more is added to these chains.
  CR_INLINE Region(const Output<T>& out, int64_t rows, int64_t width, int64_t columns, bool last)
      : out_(out),
        on_(last && out.epilogue != nullptr),
        finishes_(last && (out.finish.bias != nullptr || out.finish.kept != nullptr || out.finish.relu)),
        asks_(on_ && out.epilogue->updates > 0 && !out.turned),
        rows_(rows) {
    if (!on_) return;
    whole_rows_ = rows * columns <= kEpilogueElements;
    most_ = whole_rows_ ? kEpilogueElements / columns : kEpilogueElements / (rows * width) * width;
    ld_ = out.c != nullptr ? out.rs : whole_rows_ ? columns : most_;
  }
  // How many strips may be done together. They are from here on.
  CR_INLINE int64_t together() {
    if (!on_) return kAll;
    const int64_t strips = whole_rows_ ? most_ / rows_ : 1;
    rows_ *= strips;
    return strips;
  }
  // Where the tile at (i, j) is to be put, and its row stride.
  CR_INLINE T* tile(int64_t i, int64_t j) {
    if (!open_) {
      i0_ = i;
      j0_ = j;
      open_ = true;
    }
    return out_.c != nullptr ? out_.c + i * out_.rs + j : out_.strip + (i - i0_) * ld_ + (j - j0_);
  }
  CR_INLINE int64_t ld() const { return on_ ? ld_ : out_.rs; }
  // What is done to the tile at (i, j) in registers.
  CR_INLINE const Finish<T>* finish(int64_t i, int64_t j) {
    if (!finishes_) return nullptr;
    const Finish<T>& whole = out_.finish;
    finish_.bias = whole.bias == nullptr ? nullptr : whole.bias + (out_.turned ? i : j);
    finish_.kept = whole.kept == nullptr ? nullptr : whole.kept + i * whole.rs_kept + j;
    finish_.rs_kept = whole.rs_kept;
    finish_.relu = whole.relu;
    finish_.turned = whole.turned;
    return &finish_;
  }
  // What the epilogue will update at the tile at (i, j), where it is to be asked for.
  CR_INLINE bool asks() const { return asks_; }
  CR_INLINE const Coming<T>* coming(int64_t i, int64_t j) {
    const Epilogue& e = *out_.epilogue;
    coming_.matrices = e.updates;
    for (int x = 0; x < e.updates; ++x) {
      coming_.rs[x] = e.update[x].rs;
      coming_.p[x] = static_cast<const T*>(e.update[x].p) + (out_.row + i) * e.update[x].rs + out_.col + j;
    }
    return &coming_;
  }
  // The tiles up to row i_end and column j_end are there. row_ends: that was the last of the strip; ends: of c.
  CR_INLINE void done(int64_t i_end, int64_t j_end, bool row_ends, bool ends) {
    if (on_) hand_over(i_end, j_end, row_ends, ends);
  }

 private:
  static constexpr int64_t kAll = INT64_MAX;
  void hand_over(int64_t i_end, int64_t j_end, bool row_ends, bool ends) {
    const bool full = whole_rows_ ? row_ends && i_end - i0_ + rows_ > most_ : row_ends || j_end - j0_ >= most_;
    if (!full && !ends) return;
    open_ = false;
    const Epilogue& e = *out_.epilogue;
    T* const c = out_.c != nullptr ? out_.c + i0_ * out_.rs + j0_ : out_.strip;
    const int64_t row = out_.row + i0_, col = out_.col + j0_, rows = i_end - i0_, columns = j_end - j0_;
    if (out_.turned) {
      e.apply(e, col, columns, row, rows, c, 1);
    } else {
      e.apply(e, row, rows, col, columns, c, ld_);
    }
  }

  const Output<T>& out_;
  const bool on_, finishes_, asks_;
  int64_t rows_;  // at a time
  Finish<T> finish_;
  Coming<T> coming_;
  bool whole_rows_ = false, open_ = false;
  int64_t most_ = 0, ld_ = 0, i0_ = 0, j0_ = 0;
};

}  // namespace
}  // namespace chainrule
