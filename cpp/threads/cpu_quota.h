// The CPU quota of the control groups that this process is in.
#pragma once

#include <string>

namespace chainrule {

// In whole CPUs, rounded up, the least of the group and those above it; 0: no quota. `root` is "" but in tests.
int cpu_quota(const std::string& root);

}  // namespace chainrule
