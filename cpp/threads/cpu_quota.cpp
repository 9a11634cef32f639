#include "threads/cpu_quota.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace chainrule {
namespace {

int least(int a, int b) { return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b); }

int cpus(long long quota, long long period) {
  if (quota <= 0 || period <= 0) return 0;  // v1: -1 where there is no quota
  return static_cast<int>(std::min((quota + period - 1) / period, 1LL << 20));
}

// Version 2: "quota period", or "max period".
int quota_v2(const std::string& folder) {
  long long quota = 0, period = 0;
  std::ifstream file(folder + "/cpu.max");
  return file >> quota >> period ? cpus(quota, period) : 0;
}

int quota_v1(const std::string& folder) {
  long long quota = 0, period = 0;
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us"), period_file(folder + "/cpu.cfs_period_us");
  return quota_file >> quota && period_file >> period ? cpus(quota, period) : 0;
}

// Of the group at this path and those above it. Inside a container the path may be the host's, of which nothing but the
// top is mounted.
template <class Quota>
int quota_up(const std::string& mount, std::string path, const Quota& quota) {
  int result = 0;
  for (;;) {
    while (!path.empty() && path.back() == '/') path.pop_back();
    result = least(result, quota(mount + path));
    if (path.empty()) return result;
    path.erase(path.find_last_of('/') == std::string::npos ? 0 : path.find_last_of('/'));
  }
}

bool lists_cpu(const std::string& controllers) {
  std::istringstream list(controllers);
  for (std::string name; std::getline(list, name, ',');) {
    if (name == "cpu") return true;
  }
  return false;
}

}  // namespace

int cpu_quota(const std::string& root) {
  const std::string groups = root + "/sys/fs/cgroup";
  int result = 0;
  std::ifstream file(root + "/proc/self/cgroup");  // lines "number:controllers:path"; version 2 has no controllers
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (controllers.empty()) {
      result = least(result, quota_up(groups, path, quota_v2));
    } else if (lists_cpu(controllers)) {
      for (const std::string& mount : {controllers, std::string("cpu")})
        result = least(result, quota_up(groups + "/" + mount, path, quota_v1));
    }
  }
  return result;
}

}  // namespace chainrule
