#include "kernels/registry.hpp"

#include <array>
#include <atomic>

#define SPK_KERNEL(name, Args) extern "C" void spk_portable_##name(Args&);
namespace spk::kernels {
#include "kernels/list.def"
}
#undef SPK_KERNEL
#if defined(PYSPIKE_ISA_AVX2)
#define SPK_KERNEL(name, Args) extern "C" void spk_avx2_##name(Args&);
namespace spk::kernels {
#include "kernels/list.def"
}
#undef SPK_KERNEL
#endif

namespace spk::kernels {
namespace {

constexpr Table kPortable = {
    "portable",
#define SPK_KERNEL(name, Args) {&spk_portable_##name},
#include "kernels/list.def"
#undef SPK_KERNEL
};

#if defined(PYSPIKE_ISA_AVX2)
constexpr Table kAvx2 = {
    "avx2",
#define SPK_KERNEL(name, Args) {&spk_avx2_##name},
#include "kernels/list.def"
#undef SPK_KERNEL
};
#endif

const Kernel kAll[] = {
#define SPK_KERNEL(name, Args) {"spk_portable_" #name, "portable", reinterpret_cast<const void*>(&spk_portable_##name)},
#include "kernels/list.def"
#undef SPK_KERNEL
#if defined(PYSPIKE_ISA_AVX2)
#define SPK_KERNEL(name, Args) {"spk_avx2_" #name, "avx2", reinterpret_cast<const void*>(&spk_avx2_##name)},
#include "kernels/list.def"
#undef SPK_KERNEL
#endif
};

constinit std::array<std::atomic<std::uint64_t>, std::size(kAll)> counters{};

}  // namespace

std::span<const Kernel> all() { return kAll; }

std::span<const std::uint64_t> calls() {
    static std::array<std::uint64_t, std::size(kAll)> snapshot;
    for (std::size_t i = 0; i < snapshot.size(); ++i) snapshot[i] = counters[i].load(std::memory_order_relaxed);
    return snapshot;
}

void count_call(const void* pointer) {
    for (std::size_t i = 0; i < std::size(kAll); ++i) {
        if (kAll[i].pointer == pointer) counters[i].fetch_add(1, std::memory_order_relaxed);
    }
}

std::span<const Table* const> available() {
#if defined(PYSPIKE_ISA_AVX2)
    static constexpr const Table* kWithAvx2[] = {&kAvx2, &kPortable};
    if (__builtin_cpu_supports("avx2")) return kWithAvx2;
#endif
    static constexpr const Table* kAlways[] = {&kPortable};
    return kAlways;
}

const Table* find(std::string_view isa) {
    for (const Table* table : available()) {
        if (table->isa == isa) return table;
    }
    return nullptr;
}

}  // namespace spk::kernels
