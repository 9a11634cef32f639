// Instruction-set levels: which are built, which this CPU has, which one is active.
#pragma once

#include <string>
#include <vector>

#include "kernel_table.h"

namespace chainrule {

// Names, best first.
std::vector<std::string> built_levels();
std::vector<std::string> available_levels();

// The active level's kernels. The best available one at start, or CHAINRULE_ISA.
const KernelTable& active_kernels();

// Makes `name` active; throws std::invalid_argument naming the available ones.
void use_level(const std::string& name);

}  // namespace chainrule
