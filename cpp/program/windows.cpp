// Windows over images: as columns and back, their maxima, and products with them.
#include <algorithm>
#include <stdexcept>

#include "program/checked.h"
#include "program/costs.h"
#include "program/instructions.h"
#include "program/matmul.h"
#include "program/slots.h"

namespace chainrule {
namespace {

template <class Fn>
Fn function(const Instruction& op) {
  return *static_cast<const Fn*>(op.kernel);
}

// The windows as the kernels take them.
Windows kernel_windows(const schema::Windows& w) {
  return {w.height,     w.width,      w.kernel_h, w.kernel_w, w.stride_h, w.stride_w,
          w.dilation_h, w.dilation_w, w.pad_top,  w.pad_left, w.out_h,    w.out_w};
}
// Shared by lines of columns. reals: the value outside of the planes.
void run_unfold(const Instruction& op, void* const* slots, Share share, void*) {
  const auto w = schema::read<schema::Windows>(op);
  const Range part = share_range(w.images * w.channels * w.kernel_h * w.kernel_w, 1, share);
  function<UnfoldFn>(op)(kernel_windows(w), part.begin, part.end, in_bytes(op, slots, 0), out_bytes(op, slots),
                         op.reals[0]);
}
// Shared by planes.
void run_fold(const Instruction& op, void* const* slots, Share share, void*) {
  const auto w = schema::read<schema::Windows>(op);
  const Range part = share_range(w.images * w.channels, 1, share);
  function<FoldFn>(op)(kernel_windows(w), part.begin, part.end, in_bytes(op, slots, 0), out_bytes(op, slots));
}
void run_max_pool(const Instruction& op, void* const* slots, Share share, void*) {
  const auto w = schema::read<schema::Windows>(op);
  const Range part = share_range(w.images * w.channels, 1, share);
  function<MaxPoolFn>(op)(kernel_windows(w), part.begin, part.end, in_bytes(op, slots, 0), out_bytes(op, slots));
}
void run_max_pool_grad(const Instruction& op, void* const* slots, Share share, void*) {
  const auto w = schema::read<schema::Windows>(op);
  const Range part = share_range(w.images * w.channels, 1, share);
  function<MaxPoolGradFn>(op)(kernel_windows(w), part.begin, part.end, in_bytes(op, slots, 0), in_bytes(op, slots, 1),
                              out_bytes(op, slots));
}
void prepare_windows(Instruction& op, const KernelTable&) {
  const auto w = schema::read<schema::Windows>(op);
  if (std::min({w.kernel_h, w.kernel_w, w.stride_h, w.stride_w, w.dilation_h, w.dilation_w}) < 1)
    throw std::invalid_argument(op.name + ": kernel, stride and dilation must be at least 1");
  // Of an axis: the extent of the image, the window and the windows' positions. Kernels add and subtract two of these.
  const auto axis = [](int64_t length, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad, int64_t out) {
    return Extent(length) + Extent(kernel) * dilation + Extent(out) * stride + Extent(pad) + Extent(dilation) + stride;
  };
  const Extent rows = axis(w.height, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.out_h);
  const Extent columns = axis(w.width, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.out_w);
  const Extent planes = Extent(w.images) * w.channels;
  for (const Extent size : {rows, columns, planes * w.height * w.width * item_size(op.dtype),
                            planes * w.kernel_h * w.kernel_w * w.out_h * w.out_w * item_size(op.dtype)}) {
    size.value(op.name);
  }
}
void prepare_pool(Instruction& op, const KernelTable& table) {
  prepare_windows(op, table);
  const auto w = schema::read<schema::Windows>(op);
  if ((Extent(w.kernel_h) * w.kernel_w).value(op.name) > INT32_MAX)
    throw std::invalid_argument(op.name + ": a window is too large");
}
double windows_work(const Instruction& op) {
  const auto w = schema::read<schema::Windows>(op);
  return 2 * kPerElement * volume(w.images, w.channels) * volume(w.kernel_h * w.kernel_w) * volume(w.out_h * w.out_w);
}

// Convolutions: products with the columns of an image, a piece at a time, which stays in L2 until it has been used. The
// columns of three images of 32 x 32 x 32 with windows of 3 x 3 are 3.5 MB; to write them and read them again took a
// quarter of the time of the products.
constexpr int64_t kColumnBytes = 320 << 10;
constexpr int64_t kLeastPositions = 64;  // of a piece: with fewer, a product is bound by its operands

const KernelTable& table_of(const Instruction& op) { return *static_cast<const KernelTable*>(op.kernel); }
const void* whole_table(const KernelTable& table, const std::string&, Dtype) { return &table; }

// A convolution's sizes; of one image unless they say otherwise.
struct Sizes {
  Windows windows;
  int64_t images, channels, filters, item, elements, lines, positions, plane;
  explicit Sizes(const Instruction& op)
      : windows(kernel_windows(schema::read<schema::Windows>(op))),
        images(schema::read<schema::Convolution>(op).images),
        channels(schema::read<schema::Convolution>(op).channels),
        filters(schema::read<schema::Convolution>(op).filters),
        item(item_size(op.dtype)),
        elements(windows.kh * windows.kw),
        lines(channels * elements),
        positions(windows.oh * windows.ow),
        plane(windows.h * windows.w) {}
};

// Positions [first, first + count) of the windows, which are all windows of `windows`.
struct Piece {
  Windows windows;
  int64_t first, count;
};

// The windows of an image in pieces of whole rows, or of a part of one, whose columns of so many lines fit L2.
class Pieces {
 public:
  Pieces(const Sizes& s, int64_t lines) : all_(s.windows) {
    const int64_t most = std::max(kColumnBytes / std::max<int64_t>(lines * s.item, 1), kLeastPositions);
    rows_ = share_of(all_.oh, std::max<int64_t>(most / std::max<int64_t>(all_.ow, 1), 1));
    columns_ = share_of(all_.ow, most);
    down_ = (all_.oh + rows_ - 1) / rows_;
    across_ = (all_.ow + columns_ - 1) / columns_;
  }
  int64_t count() const { return down_ * across_; }
  Piece operator[](int64_t i) const {
    const int64_t r = i / across_ * rows_, c = i % across_ * columns_;
    Piece piece = {all_, r * all_.ow + c, 0};
    piece.windows.pad_top -= r * all_.stride_h;
    piece.windows.pad_left -= c * all_.stride_w;
    piece.windows.oh = std::min(rows_, all_.oh - r);
    piece.windows.ow = std::min(columns_, all_.ow - c);
    piece.count = piece.windows.oh * piece.windows.ow;
    return piece;
  }

 private:
  // n in equal shares of at most `most`.
  static int64_t share_of(int64_t n, int64_t most) {
    const int64_t shares = std::max<int64_t>((n + most - 1) / most, 1);
    return std::max<int64_t>((n + shares - 1) / shares, 1);
  }
  Windows all_;
  int64_t rows_, columns_, down_, across_;
};

// How many channels' columns of so many positions fit L2.
int64_t channels_at_once(const Sizes& s, int64_t positions) {
  return std::max<int64_t>(kColumnBytes / std::max<int64_t>(s.elements * positions * s.item, 1), 1);
}

// Outputs: y (images, filters, positions). Inputs: the weights (filters, lines), the images.
void run_convolution(const Instruction& op, void* const* slots, Share share, void* scratch) {
  const Sizes s(op);
  const Pieces pieces(s, s.lines);
  const Range part = share_range(s.images * pieces.count(), 1, share);
  for (int64_t i = part.begin; i < part.end; ++i) {
    const Piece piece = pieces[i % pieces.count()];
    const int64_t image = i / pieces.count(), at_once = channels_at_once(s, piece.count);
    const char* const planes = offset(in_bytes(op, slots, 1), image * s.channels * s.plane, s.item);
    int64_t channel = 0;
    do {
      const int64_t k = std::min(at_once, s.channels - channel) * s.elements, line = channel * s.elements;
      void* const columns = thread_workspace().columns(k * piece.count * s.item);
      table_of(op).unfold[op.dtype](piece.windows, 0, k, offset(planes, channel * s.plane, s.item), columns, 0);
      table_of(op).gemm[op.dtype]({s.filters,
                                   piece.count,
                                   k,
                                   offset(in_bytes(op, slots, 0), line, s.item),
                                   columns,
                                   s.lines,
                                   1,
                                   piece.count,
                                   1,
                                   out_bytes(op, slots) + (image * s.filters * s.positions + piece.first) * s.item,
                                   s.positions,
                                   scratch,
                                   line > 0,
                                   {},
                                   nullptr});
      channel += at_once;
    } while (channel < s.channels);  // once without channels
  }
}

// Outputs: the transpose of the gradient by the weights (lines, filters). Inputs: g (images, filters, positions), the
// images. Shared by channels.
void run_convolution_by_weight(const Instruction& op, void* const* slots, Share share, void* scratch) {
  const Sizes s(op);
  const Range part = share_range(s.channels, 1, share);
  const int64_t at_once = channels_at_once(s, std::min(s.positions, kLeastPositions));
  for (int64_t channel = part.begin; channel < part.end; channel += at_once) {
    const int64_t m = std::min(at_once, part.end - channel) * s.elements;
    char* const out = out_bytes(op, slots) + channel * s.elements * s.filters * s.item;
    const auto multiply = [&](const void* columns, const char* g, int64_t k, bool continues) {
      table_of(op).gemm[op.dtype](
          {m, s.filters, k, columns, g, k, 1, 1, s.positions, out, s.filters, scratch, continues, {}, nullptr});
    };
    const Pieces pieces(s, m);
    const int64_t all = s.positions == 0 ? 0 : s.images * pieces.count();
    bool continues = schema::read<schema::Convolution>(op).continues != 0;
    if (all == 0) multiply(out, in_bytes(op, slots, 0), 0, continues);  // an empty sum is +0
    for (int64_t i = 0; i < all; ++i) {
      const Piece piece = pieces[i % pieces.count()];
      const int64_t image = i / pieces.count();
      void* const columns = thread_workspace().columns(m * piece.count * s.item);
      table_of(op).unfold[op.dtype](piece.windows, 0, m,
                                    offset(in_bytes(op, slots, 1), (image * s.channels + channel) * s.plane, s.item),
                                    columns, 0);
      multiply(columns, offset(in_bytes(op, slots, 0), image * s.filters * s.positions + piece.first, s.item),
               piece.count, continues);
      continues = true;
    }
  }
}

// Outputs: the gradient by the images. Inputs: the weights (filters, lines), g (images, filters, positions). Shared by
// images and channels.
void run_convolution_by_images(const Instruction& op, void* const* slots, Share share, void* scratch) {
  const Sizes s(op);
  const int64_t at_once = std::min(channels_at_once(s, s.positions), std::max<int64_t>(s.channels, 1));
  const int64_t parts = (s.channels + at_once - 1) / at_once;
  const Range part = share_range(s.images * parts, 1, share);
  for (int64_t i = part.begin; i < part.end; ++i) {
    const int64_t image = i / parts, channel = i % parts * at_once;
    const int64_t channels = std::min(at_once, s.channels - channel), m = channels * s.elements;
    void* const columns = thread_workspace().columns(m * s.positions * s.item);
    table_of(op).gemm[op.dtype]({m,
                                 s.positions,
                                 s.filters,
                                 offset(in_bytes(op, slots, 0), channel * s.elements, s.item),
                                 offset(in_bytes(op, slots, 1), image * s.filters * s.positions, s.item),
                                 1,
                                 s.lines,
                                 s.positions,
                                 1,
                                 columns,
                                 s.positions,
                                 scratch,
                                 false,
                                 {},
                                 nullptr});
    table_of(op).fold[op.dtype](s.windows, 0, channels, columns,
                                out_bytes(op, slots) + (image * s.channels + channel) * s.plane * s.item);
  }
}

void prepare_convolution(Instruction& op, const KernelTable& table) {
  prepare_windows(op, table);
  const auto& s = schema::read<schema::Convolution>(op);
  const Extent lines = Extent(s.channels) * s.kernel_h * s.kernel_w, positions = Extent(s.out_h) * s.out_w;
  for (const Extent size :
       {Extent(s.images) * s.filters * positions * item_size(op.dtype), Extent(s.filters) * lines * item_size(op.dtype),
        lines * positions * item_size(op.dtype), positions * s.kernel_h * s.kernel_w * item_size(op.dtype)}) {
    size.value(op.name);
  }
}
double convolution_work(const Instruction& op) {
  const auto& s = schema::read<schema::Convolution>(op);
  return volume(s.images) * product_work(s.filters, s.out_h * s.out_w, s.channels * s.kernel_h * s.kernel_w) +
         windows_work(op);
}

constexpr InstructionRow kRows[] = {
    {.name = "unfold",
     .record = &schema::kRecord<schema::Windows>,
     .counts = {1, 1, 1},
     .run = run_unfold,
     .work = windows_work,
     .kernel = function_of<&KernelTable::unfold>,
     .prepare = prepare_windows},
    {.name = "fold",
     .record = &schema::kRecord<schema::Windows>,
     .run = run_fold,
     .work = windows_work,
     .kernel = function_of<&KernelTable::fold>,
     .prepare = prepare_windows},
    {.name = "max_pool",
     .record = &schema::kRecord<schema::Windows>,
     .run = run_max_pool,
     .work = windows_work,
     .kernel = function_of<&KernelTable::max_pool>,
     .prepare = prepare_pool},
    {.name = "max_pool_grad",
     .record = &schema::kRecord<schema::Windows>,
     .counts = {1, 2, 0},
     .run = run_max_pool_grad,
     .work = windows_work,
     .kernel = function_of<&KernelTable::max_pool_grad>,
     .prepare = prepare_pool},
    {.name = "convolution",
     .record = &schema::kRecord<schema::Convolution>,
     .counts = {1, 2, 0},
     .run = run_convolution,
     .work = convolution_work,
     .kernel = whole_table,
     .prepare = prepare_convolution},
    {.name = "convolution_by_weight",
     .record = &schema::kRecord<schema::Convolution>,
     .counts = {1, 2, 0},
     .run = run_convolution_by_weight,
     .work = convolution_work,
     .kernel = whole_table,
     .prepare = prepare_convolution},
    {.name = "convolution_by_images",
     .record = &schema::kRecord<schema::Convolution>,
     .counts = {1, 2, 0},
     .run = run_convolution_by_images,
     .work = convolution_work,
     .kernel = whole_table,
     .prepare = prepare_convolution},
};

}  // namespace

std::span<const InstructionRow> window_instructions() { return kRows; }

}  // namespace chainrule
