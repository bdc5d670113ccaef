#include "kernels/registry.hpp"

#include <array>
#include <atomic>

// SPK_SETS(each, ...): each(isa, ...) for every instruction set of this build, the best first.
#if defined(PYSPIKE_ISA_AVX512)
#define SPK_AVX512(each, ...) each(avx512, __VA_ARGS__)
#else
#define SPK_AVX512(each, ...)
#endif
#if defined(PYSPIKE_ISA_AVX2)
#define SPK_AVX2(each, ...) each(avx2, __VA_ARGS__)
#else
#define SPK_AVX2(each, ...)
#endif
#if defined(PYSPIKE_ISA_NEON)
#define SPK_NEON(each, ...) each(neon, __VA_ARGS__)
#else
#define SPK_NEON(each, ...)
#endif
#define SPK_SETS(each, ...) \
    SPK_AVX512(each, __VA_ARGS__) SPK_AVX2(each, __VA_ARGS__) SPK_NEON(each, __VA_ARGS__) each(portable, __VA_ARGS__)

namespace spk::kernels {

#define SPK_DECLARE(isa, name, Args) extern "C" void spk_##isa##_##name(Args&);
#define SPK_KERNEL(name, Args) SPK_SETS(SPK_DECLARE, name, Args)
#include "kernels/list.def"
#undef SPK_KERNEL

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

#if defined(PYSPIKE_ISA_AVX512)
constexpr Table kAvx512 = {
    "avx512",
#define SPK_KERNEL(name, Args) {&spk_avx512_##name},
#include "kernels/list.def"
#undef SPK_KERNEL
};
#endif

#if defined(PYSPIKE_ISA_NEON)
constexpr Table kNeon = {
    "neon",
#define SPK_KERNEL(name, Args) {&spk_neon_##name},
#include "kernels/list.def"
#undef SPK_KERNEL
};
#endif

const Kernel kAll[] = {
#define SPK_ENTRY_OF(isa, name) {"spk_" #isa "_" #name, #isa, reinterpret_cast<const void*>(&spk_##isa##_##name)},
#define SPK_KERNEL(name, Args) SPK_SETS(SPK_ENTRY_OF, name)
#include "kernels/list.def"
#undef SPK_KERNEL
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

namespace {

// Whether CPU and operating system have what a folder of kernels was compiled for.
#if defined(PYSPIKE_ISA_AVX512)
bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
}
#endif

struct Available {
    std::array<const Table*, 4> tables{};
    std::size_t count = 0;

    Available() {
#if defined(PYSPIKE_ISA_AVX512)
        if (has_avx512()) tables[count++] = &kAvx512;
#endif
#if defined(PYSPIKE_ISA_AVX2)
        if (__builtin_cpu_supports("avx2")) tables[count++] = &kAvx2;
#endif
#if defined(PYSPIKE_ISA_NEON)
        tables[count++] = &kNeon;  // part of every CPU of that name
#endif
        tables[count++] = &kPortable;
    }
};

}  // namespace

std::span<const Table* const> available() {
    static const Available list;
    return {list.tables.data(), list.count};
}

const Table* find(std::string_view isa) {
    for (const Table* table : available()) {
        if (table->isa == isa) return table;
    }
    return nullptr;
}

}  // namespace spk::kernels
