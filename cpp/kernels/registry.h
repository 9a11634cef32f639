// Each kernel file adds its rows to the level's table; table.cpp calls them all.
#pragma once

#include "kernel_table.h"

namespace chainrule {
namespace CR_LEVEL {
void register_maps(KernelTable& table);
void register_reductions(KernelTable& table);
void register_rowwise(KernelTable& table);
void register_cross_entropy(KernelTable& table);
void register_gemm(KernelTable& table);
void register_windows(KernelTable& table);
void register_pools(KernelTable& table);
void register_update(KernelTable& table);
void register_random(KernelTable& table);
void register_index_add(KernelTable& table);
void register_scan(KernelTable& table);
void register_cast(KernelTable& table);
void register_normalize(KernelTable& table);
void register_recurrent(KernelTable& table);
void register_attention(KernelTable& table);
}  // namespace CR_LEVEL
}  // namespace chainrule
