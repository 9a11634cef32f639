// Where a matrix product writes c, and how its epilogue gets finished parts while they are in L1.
#pragma once

#include "kernels/pack.h"

namespace chainrule {
namespace {

constexpr int64_t kStripElements = 16 << 10;
static_assert(kStripElements >= kEpilogueElements);

template <class T>
struct Output {
  T* c;  // null: not stored, parts lie in `strip` until the epilogue has read them
  int64_t rs;
  bool transposed = false;  // one row here is one column of the product
  Finish<T> finish = {};
  const Epilogue* epilogue = nullptr;
  int64_t row = 0, col = 0;  // of c in the whole product
  T* strip = nullptr;        // kStripElements of scratch
  Output right_of(int64_t j) const {
    Output part = *this;
    if (c != nullptr) part.c += j;
    if (finish.bias != nullptr) part.finish.bias += j;
    if (finish.relu_output != nullptr) part.finish.relu_output += j;
    part.col += j;
    return part;
  }
};

// Collects tiles until they are worth a call of the epilogue: some strips of whole rows, or some tiles of one strip.
template <class T>
class TileCollector {
 public:
  // Tiles of at most rows x width in c's `columns` columns; `last`: the chains end with this block of k.
  CR_INLINE TileCollector(const Output<T>& out, int64_t rows, int64_t width, int64_t columns, bool last)
      : out_(out),
        has_epilogue_(last && out.epilogue != nullptr),
        has_finish_(last && (out.finish.bias != nullptr || out.finish.relu_output != nullptr || out.finish.relu)),
        prefetches_(has_epilogue_ && out.epilogue->prefetched > 0 && !out.transposed),
        rows_(rows) {
    if (!has_epilogue_) return;
    whole_rows_ = rows * columns <= kEpilogueElements;
    most_ = whole_rows_ ? kEpilogueElements / columns : kEpilogueElements / (rows * width) * width;
    ld_ = out.c != nullptr ? out.rs : whole_rows_ ? columns : most_;
  }
  // How many strips may be multiplied in one call; the collector counts on it from then on.
  CR_INLINE int64_t strips_at_once() {
    if (!has_epilogue_) return kAll;
    const int64_t strips = whole_rows_ ? most_ / rows_ : 1;
    rows_ *= strips;
    return strips;
  }
  // Where the tile at (i, j) is written, and its row stride.
  CR_INLINE T* tile(int64_t i, int64_t j) {
    if (!open_) {
      i0_ = i;
      j0_ = j;
      open_ = true;
    }
    return out_.c != nullptr ? out_.c + i * out_.rs + j : out_.strip + (i - i0_) * ld_ + (j - j0_);
  }
  CR_INLINE int64_t ld() const { return has_epilogue_ ? ld_ : out_.rs; }
  // What is applied to the tile at (i, j) in registers.
  CR_INLINE const Finish<T>* finish(int64_t i, int64_t j) {
    if (!has_finish_) return nullptr;
    const Finish<T>& whole = out_.finish;
    finish_.bias = whole.bias == nullptr ? nullptr : whole.bias + (out_.transposed ? i : j);
    finish_.relu_output = whole.relu_output == nullptr ? nullptr : whole.relu_output + i * whole.rs_relu_output + j;
    finish_.rs_relu_output = whole.rs_relu_output;
    finish_.relu = whole.relu;
    finish_.transposed = whole.transposed;
    return &finish_;
  }
  // What the epilogue will update at the tile at (i, j), if that is to be prefetched.
  CR_INLINE bool prefetches() const { return prefetches_; }
  CR_INLINE const PrefetchTargets<T>* targets(int64_t i, int64_t j) {
    const Epilogue& e = *out_.epilogue;
    targets_.matrices = e.prefetched;
    for (int x = 0; x < e.prefetched; ++x) {
      targets_.rs[x] = e.prefetch[x].rs;
      targets_.p[x] = static_cast<const T*>(e.prefetch[x].p) + (out_.row + i) * e.prefetch[x].rs + out_.col + j;
    }
    return &targets_;
  }
  // The tiles up to row i_end and column j_end are computed. row_ends: that was the last of the strip; ends: of c.
  CR_INLINE void tile_done(int64_t i_end, int64_t j_end, bool row_ends, bool ends) {
    if (has_epilogue_) call_epilogue(i_end, j_end, row_ends, ends);
  }

 private:
  static constexpr int64_t kAll = INT64_MAX;
  void call_epilogue(int64_t i_end, int64_t j_end, bool row_ends, bool ends) {
    const bool full = whole_rows_ ? row_ends && i_end - i0_ + rows_ > most_ : row_ends || j_end - j0_ >= most_;
    if (!full && !ends) return;
    open_ = false;
    const Epilogue& e = *out_.epilogue;
    T* const c = out_.c != nullptr ? out_.c + i0_ * out_.rs + j0_ : out_.strip;
    const int64_t row = out_.row + i0_, col = out_.col + j0_, rows = i_end - i0_, columns = j_end - j0_;
    if (out_.transposed) {
      e.apply(e, col, columns, row, rows, c, 1);
    } else {
      e.apply(e, row, rows, col, columns, c, ld_);
    }
  }

  const Output<T>& out_;
  const bool has_epilogue_, has_finish_, prefetches_;
  int64_t rows_;  // at a time
  Finish<T> finish_;
  PrefetchTargets<T> targets_;
  bool whole_rows_ = false, open_ = false;
  int64_t most_ = 0, ld_ = 0, i0_ = 0, j0_ = 0;
};

}  // namespace
}  // namespace chainrule
