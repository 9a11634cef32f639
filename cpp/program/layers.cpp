// Instructions that are most of a layer: recurrences over time, self-attention, sums of normalisation.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "program/costs.h"
#include "program/instructions.h"
#include "program/matmul.h"
#include "program/slots.h"
#include "threads/stop.h"

namespace chainrule {
namespace {

// Shared by rows: each thread does all steps of its own, some at a time where the run can be stopped.
void run_recurrent(const Instruction& op, void* const* slots, Share share, void* scratch) {
  const auto& s = schema::read<schema::Recurrent>(op);
  const RecurrentRow& kernel = *static_cast<const RecurrentRow*>(op.kernel);
  const Range rows = share_range(s.rows, 1, share);
  if (rows.begin >= rows.end) return;
  RecurrentArgs args = {s.steps, s.rows, s.units, s.batch_first != 0, s.reverse != 0, 0, 0, rows.begin, rows.end,
                        {},      {},     scratch};
  for (size_t i = 0; i < op.inputs.size(); ++i) args.in[i] = in_bytes(op, slots, i);
  for (size_t i = 0; i < op.outputs.size(); ++i) args.out[i] = slot<void>(slots, op.outputs[i]);
  const std::atomic<bool>* const stop = stop_flag_of(op);
  const double parts = stop == nullptr ? 1 : op.work / op.part_work;
  const int64_t step = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(s.steps) / parts));
  while (args.end_step < s.steps && !stop_requested(stop)) {
    args.begin_step = args.end_step;
    args.end_step = std::min(s.steps, args.begin_step + step);
    kernel.fn[op.dtype](args);
  }
}
Counts recurrent_counts(const Instruction& op) {
  const RecurrentRow& kernel = *static_cast<const RecurrentRow*>(op.kernel);
  return {static_cast<size_t>(kernel.outputs), static_cast<size_t>(kernel.inputs), 0};
}
double recurrent_work(const Instruction& op) {
  const auto& s = schema::read<schema::Recurrent>(op);
  const RecurrentRow& kernel = *static_cast<const RecurrentRow*>(op.kernel);
  const double columns = volume(s.rows, s.units, kernel.gates);
  return static_cast<double>(s.steps) *
         (product_work(s.rows, s.units * kernel.gates, s.units) + static_cast<double>(kernel.cost) * columns);
}

// Inputs: projections, then the masks; of the gradient the planes and the gradient of the result before them.
void run_heads(const Instruction& op, void* const* slots, Share share, void* scratch, bool gradient) {
  const auto& s = schema::read<schema::Attention>(op);
  const Range heads = share_range(s.batch * s.heads, 1, share);
  size_t next = 0;
  const auto input = [&](bool there) { return there ? in_bytes(op, slots, next++) : nullptr; };
  AttentionArgs args = {s.batch,    s.steps,     s.heads, s.depth, heads.begin,  heads.begin,
                        nullptr,    nullptr,     nullptr, nullptr, s.bias_batch, s.bias_head,
                        s.bias_row, op.reals[0], nullptr, nullptr, scratch};
  const void* const planes = input(gradient);
  args.g = input(gradient);
  args.planes = gradient ? const_cast<void*>(planes) : out_bytes(op, slots);
  args.out = gradient ? out_bytes(op, slots) : nullptr;
  args.projections = input(true);
  args.bias = input(s.has_bias != 0);
  args.drop = input(s.has_drop != 0);
  const std::atomic<bool>* const stop = stop_flag_of(op);
  const double parts = stop == nullptr ? 1 : op.work / op.part_work;
  const int64_t step = std::max<int64_t>(1, static_cast<int64_t>(volume(s.batch, s.heads) / parts));
  while (args.end < heads.end && !stop_requested(stop)) {
    args.begin = args.end;
    args.end = std::min(heads.end, args.begin + step);
    (*static_cast<const AttentionFn*>(op.kernel))(args);
  }
}
void run_attention(const Instruction& op, void* const* slots, Share share, void* scratch) {
  run_heads(op, slots, share, scratch, false);
}
void run_attention_grad(const Instruction& op, void* const* slots, Share share, void* scratch) {
  run_heads(op, slots, share, scratch, true);
}
void prepare_attention(Instruction& op, const KernelTable&) {
  const auto& s = schema::read<schema::Attention>(op);
  const size_t inputs =
      (op.name == "attention" ? 1 : 3) + static_cast<size_t>(s.has_bias != 0) + static_cast<size_t>(s.has_drop != 0);
  if (op.inputs.size() != inputs)
    throw std::invalid_argument(op.name + ": expected " + std::to_string(inputs) + " inputs, as its flags say");
}
double attention_work(const Instruction& op) {
  const auto& s = schema::read<schema::Attention>(op);
  const double products = op.name == "attention" ? 2 : 5, scores = volume(s.steps, s.steps);
  return volume(s.batch, s.heads) * (products * product_work(s.steps, s.steps, s.depth) + kPerScore * scores);
}

// Sums of normalisation. Shared by channels.
void run_channels(const Instruction& op, void* const* slots, Share share, void*) {
  const auto [outer, channels, inner, by_rows] = schema::read<schema::Channels>(op);
  const Range part = share_range(channels, by_rows == 0 && inner == 1 ? 16 : 1, share);
  ChannelArgs args = {outer, channels, inner, by_rows != 0, part.begin, part.end, {}, out_bytes(op, slots)};
  for (size_t i = 0; i < op.inputs.size(); ++i) args.in[i] = in_bytes(op, slots, i);
  row<ChannelRow>(op).fn[op.dtype](args);
}
Counts channels_counts(const Instruction& op) { return {1, static_cast<size_t>(row<ChannelRow>(op).inputs), 0}; }
void prepare_channels(Instruction& op, const KernelTable&) {
  const auto channels = schema::read<schema::Channels>(op);
  if (channels.by_rows != 0 && channels.outer != 1) throw std::invalid_argument(op.name + ": by_rows needs outer = 1");
}
double channels_work(const Instruction& op) {
  const auto [outer, channels, inner, by_rows] = schema::read<schema::Channels>(op);
  const double work = 2 * kPerElement * volume(outer, channels, inner);
  return by_rows == 0 && inner == 1 ? work : work + 2 * kPerRow * volume(outer, channels);
}

constexpr InstructionRow kRows[] = {
    {.record = &schema::kRecord<schema::Channels>,
     .run = run_channels,
     .work = channels_work,
     .kernel = row_of<&KernelTable::channel_ops, &KernelTable::n_channel_ops>,
     .kernel_counts = channels_counts,
     .prepare = prepare_channels},
    {.record = &schema::kRecord<schema::Recurrent>,
     .run = run_recurrent,
     .work = recurrent_work,
     .kernel = row_of<&KernelTable::recurrent, &KernelTable::n_recurrent>,
     .kernel_counts = recurrent_counts,
     .looks_at_stop = true},
    {.name = "attention",
     .record = &schema::kRecord<schema::Attention>,
     .counts = {1, kAny, 1},
     .run = run_attention,
     .work = attention_work,
     .kernel = function_of<&KernelTable::attention>,
     .prepare = prepare_attention,
     .looks_at_stop = true},
    {.name = "attention_grad",
     .record = &schema::kRecord<schema::Attention>,
     .counts = {1, kAny, 1},
     .run = run_attention_grad,
     .work = attention_work,
     .kernel = function_of<&KernelTable::attention_grad>,
     .prepare = prepare_attention,
     .looks_at_stop = true},
};

}  // namespace

std::span<const InstructionRow> layer_instructions() { return kRows; }

}  // namespace chainrule
