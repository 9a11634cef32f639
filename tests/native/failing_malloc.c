// Lets chosen allocations of the whole process fail; loaded with LD_PRELOAD.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

static long long count, first = -1, last = -1;
static int armed, core_only;

// From now on allocations are counted from 0; those from `begin` to `end` - 1 fail. Only those of at least a page, and
// smaller ones of C++ (`only_core`), or of all but NumPy, whose loops crash where a small one fails. Not those up to
// kRegistry bytes of C++: pybind11 registers its instances with these, and ends the process where one fails.
void fail_allocations(long long begin, long long end, int only_core) {
  __atomic_store_n(&armed, 0, __ATOMIC_SEQ_CST);
  core_only = only_core;
  __atomic_store_n(&count, 0, __ATOMIC_SEQ_CST);
  first = begin;
  last = end;
  __atomic_store_n(&armed, 1, __ATOMIC_SEQ_CST);
}
// Nothing fails any more; how many allocations there were.
long long stop_failing(void) {
  __atomic_store_n(&armed, 0, __ATOMIC_SEQ_CST);
  return __atomic_load_n(&count, __ATOMIC_SEQ_CST);
}

static char bootstrap[65536];  // dlsym itself may allocate while it looks up the real functions
static size_t used;
static int inside(const void* p) { return (const char*)p >= bootstrap && (const char*)p < bootstrap + sizeof bootstrap; }
static void* from_bootstrap(size_t size) {
  void* const p = bootstrap + used;
  used += (size + 63) / 64 * 64;
  return used <= sizeof bootstrap ? p : NULL;
}

static void *(*real_malloc)(size_t), *(*real_calloc)(size_t, size_t), *(*real_realloc)(void*, size_t);
static void *(*real_aligned)(size_t, size_t), *(*real_memalign)(size_t, size_t);
static int (*real_posix)(void**, size_t, size_t);
static void (*real_free)(void*);
static int looking_up;

static int ready(void) {
  if (real_free != NULL) return 1;
  if (looking_up) return 0;
  looking_up = 1;
  *(void**)&real_malloc = dlsym(RTLD_NEXT, "malloc");
  *(void**)&real_calloc = dlsym(RTLD_NEXT, "calloc");
  *(void**)&real_realloc = dlsym(RTLD_NEXT, "realloc");
  *(void**)&real_aligned = dlsym(RTLD_NEXT, "aligned_alloc");
  *(void**)&real_memalign = dlsym(RTLD_NEXT, "memalign");
  *(void**)&real_posix = dlsym(RTLD_NEXT, "posix_memalign");
  *(void**)&real_free = dlsym(RTLD_NEXT, "free");
  looking_up = 0;
  return 1;
}
enum { kRegistry = 40, kPage = 4096 };
static int is_chosen(const void* caller, size_t size) {
  Dl_info from;
  if (size >= kPage) return 1;
  if (dladdr(caller, &from) == 0 || from.dli_fname == NULL) return 0;
  if (size <= kRegistry && strstr(from.dli_fname, "libstdc++") != NULL) return 0;
  if (core_only) return strstr(from.dli_fname, "/_core.") != NULL || strstr(from.dli_fname, "libstdc++") != NULL;
  return strstr(from.dli_fname, "numpy") == NULL;
}
static int fails(const void* caller, size_t size) {
  if (!__atomic_load_n(&armed, __ATOMIC_SEQ_CST) || !is_chosen(caller, size)) return 0;
  const long long n = __atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST);
  if (n < first || n >= last) return 0;
  errno = ENOMEM;
  return 1;
}

void* malloc(size_t size) {
  if (fails(__builtin_return_address(0), size)) return NULL;
  return ready() ? real_malloc(size) : from_bootstrap(size);
}
void* calloc(size_t n, size_t size) {
  if (fails(__builtin_return_address(0), n * size)) return NULL;
  return ready() ? real_calloc(n, size) : from_bootstrap(n * size);
}
void* realloc(void* p, size_t size) {
  if (fails(__builtin_return_address(0), size)) return NULL;
  if (!inside(p)) return ready() ? real_realloc(p, size) : from_bootstrap(size);
  void* const larger = malloc(size);
  if (larger != NULL) memcpy(larger, p, size);
  return larger;
}
void* aligned_alloc(size_t alignment, size_t size) {
  if (fails(__builtin_return_address(0), size)) return NULL;
  return ready() ? real_aligned(alignment, size) : NULL;
}
void* memalign(size_t alignment, size_t size) {
  if (fails(__builtin_return_address(0), size)) return NULL;
  return ready() ? real_memalign(alignment, size) : NULL;
}
int posix_memalign(void** p, size_t alignment, size_t size) {
  if (fails(__builtin_return_address(0), size)) return ENOMEM;
  return ready() ? real_posix(p, alignment, size) : ENOMEM;
}
void free(void* p) {
  if (!inside(p) && ready()) real_free(p);
}
