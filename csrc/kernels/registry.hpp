// The kernels of each instruction set, and what has been called.
//
// Contract: tables are constant and live for ever. The names in `all()` are the symbols of section `spk_synapse`, all
// of them. A call through an Entry is a plain call; builds with SPK_COUNT_CALLS (debug builds) count calls as well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/api.hpp"

#if !defined(NDEBUG) && !defined(SPK_COUNT_CALLS)
#define SPK_COUNT_CALLS 1
#endif

namespace spk::kernels {

struct Kernel {
    std::string_view name;  // its symbol
    std::string_view isa;
    const void* pointer;
};

// Every kernel that was built, by instruction set.
std::span<const Kernel> all();

// How often each kernel of `all()` was called; all 0 where calls are not counted.
std::span<const std::uint64_t> calls();
inline constexpr bool kCountsCalls =
#if defined(SPK_COUNT_CALLS)
    true;
#else
    false;
#endif

void count_call(const void* pointer);

template <typename Args>
struct Entry {
    void (*function)(Args&) = nullptr;

    void operator()(Args& args) const {
#if defined(SPK_COUNT_CALLS)
        count_call(reinterpret_cast<const void*>(function));
#endif
        function(args);
    }
};

struct Table {
    std::string_view isa;
#define SPK_KERNEL(name, Args) Entry<Args> name;
#include "kernels/list.def"
#undef SPK_KERNEL
};

// What this build has and this CPU can run, the best first; "portable" is the last.
std::span<const Table* const> available();

// The available table of that name, or null.
const Table* find(std::string_view isa);

}  // namespace spk::kernels
