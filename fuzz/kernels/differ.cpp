// Holds every kernel of every instruction set against the portable one, on arguments drawn at random. Where two
// disagree it names both, the kernel, the place and the integers, and aborts.
//
// One input of the fuzzer chooses a kernel and its arguments. With libFuzzer coverage guides the inputs; otherwise
// drive.cpp has a main that counts through seeds.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/differ.hpp"
#include "kernels/draw.hpp"
#include "kernels/registry.hpp"

// Only a program with a sanitizer has it.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace spk::fuzz {
namespace {

std::uint64_t current_seed = 0;
const char* current_kernel = "";

void say_how_to_repeat() {
    std::fprintf(stderr, "to repeat: fuzz_kernels -kernel=%s -seed=%" PRIu64 " -runs=1\n", current_kernel,
                 current_seed);
}

// What kernels return in their arguments, and entries that they may overwrite and nobody reads.
std::vector<std::int64_t> returned(const ScanArgs& args) { return {args.count}; }
std::vector<std::int64_t> returned(const DigitArgs& args) { return {args.count}; }
std::vector<std::int64_t> returned(const ScheduleArgs& args) { return {static_cast<std::int64_t>(args.groups)}; }
std::vector<std::int64_t> returned(const RangeArgs& args) { return {args.lo, args.hi}; }
std::vector<std::int64_t> returned(const CompareArgs& args) { return {args.first, args.end}; }
std::vector<std::int64_t> returned(const DifferArgs& args) {
    return {static_cast<std::int64_t>(args.rose), static_cast<std::int64_t>(args.fell),
            static_cast<std::int64_t>(args.nonzero)};
}
std::vector<std::int64_t> returned(const WeightBitsArgs& args) { return {static_cast<std::int64_t>(args.bits)}; }
std::vector<std::int64_t> returned(const CountArgs& args) {
    return {static_cast<std::int64_t>(args.magnitude), static_cast<std::int64_t>(args.bits),
            static_cast<std::int64_t>(args.events)};
}
template <typename Args>
void clear_unread(const Args&) {}
void clear_unread(const ScanArgs& args) { std::fill_n(args.events + args.count, kOverwritten, std::uint16_t{0}); }
void clear_unread(const DigitArgs& args) { std::fill_n(args.events + args.count, kOverwritten, std::uint16_t{0}); }
void clear_unread(const ScheduleArgs& args) {
    std::fill_n(args.events + (args.groups * 8), kOverwrittenEvents, std::uint16_t{0});
    std::fill_n(args.slots + args.groups, kOverwrittenSlots, std::uint16_t{0});
}

// What one call left.
struct Result {
    std::string_view isa;
    std::vector<std::int64_t> returned;
    std::vector<std::vector<std::byte>> arrays;  // the readable bytes behind them included
};

std::int64_t element(const Array& array, const std::byte* bytes, std::size_t index) {
    const auto as = [&]<typename T>(T value) {
        std::memcpy(&value, bytes + index * sizeof(T), sizeof(T));
        return static_cast<std::int64_t>(value);
    };
    switch (array.element) {
        case Element::kU8:
            return as(std::uint8_t{});
        case Element::kI8:
            return as(std::int8_t{});
        case Element::kU16:
            return as(std::uint16_t{});
        case Element::kI16:
            return as(std::int16_t{});
        case Element::kU32:
            return as(std::uint32_t{});
        default:
            return as(std::int32_t{});
    }
}

[[noreturn]] void report(const char* kernel, std::string_view a, std::string_view b, const std::string& place,
                         std::int64_t found, std::int64_t other) {
    std::fprintf(stderr, "%s: %.*s and %.*s differ in %s: %" PRId64 " and %" PRId64 "\n", kernel,
                 static_cast<int>(a.size()), a.data(), static_cast<int>(b.size()), b.data(), place.c_str(), found,
                 other);
    say_how_to_repeat();
    std::abort();
}

std::string place_in(const Array& array, std::size_t index) {
    const std::size_t count = array.bytes / element_bytes(array.element);
    std::string place = std::string(array.name) + "[" + std::to_string(index) + "]";
    return index < count ? place : place + ", behind its end " + std::to_string(count);
}

// The first element in which two images of an array differ.
void compare(const char* kernel, const Array& array, std::string_view a, const std::vector<std::byte>& left,
             std::string_view b, const std::vector<std::byte>& right) {
    if (left == right) return;
    const auto at = std::mismatch(left.begin(), left.end(), right.begin()).first - left.begin();
    const std::size_t index = static_cast<std::size_t>(at) / element_bytes(array.element);
    report(kernel, a, b, place_in(array, index), element(array, left.data(), index),
           element(array, right.data(), index));
}

// Nothing but outputs may change, and nothing behind the end of an array.
void check_untouched(const char* kernel, const Array& array, const Result& result, const std::vector<std::byte>& left) {
    std::vector<std::byte> right = array.before;
    if (array.written) std::copy_n(left.begin(), array.bytes, right.begin());
    compare(kernel, array, result.isa, left, "what was there", right);
}

template <typename Args>
Result call(const char* kernel, const kernels::Table& table, kernels::Entry<Args> kernels::Table::* entry,
            const Draw& draw, std::remove_const_t<Args> args) {
    draw.restore();
    (table.*entry)(args);
    Result result{table.isa, {}, {}};
    clear_unread(args);
    if constexpr (!std::is_const_v<Args>) result.returned = returned(args);
    for (const Array& each : draw.arrays()) {
        result.arrays.emplace_back(each.all().begin(), each.all().end());
        check_untouched(kernel, each, result, result.arrays.back());
    }
    return result;
}

template <typename Args>
void differ(const char* kernel, kernels::Entry<Args> kernels::Table::* entry,
            void (*draw_arguments)(Draw&, std::remove_const_t<Args>&), Draw& draw) {
    std::remove_const_t<Args> args{};
    draw_arguments(draw, args);
    draw.keep();
    const Result expected = call<Args>(kernel, *kernels::find("portable"), entry, draw, args);
    for (const kernels::Table* table : kernels::available()) {
        const Result found = call<Args>(kernel, *table, entry, draw, args);
        for (std::size_t i = 0; i < found.returned.size(); ++i) {
            if (found.returned[i] != expected.returned[i])
                report(kernel, found.isa, expected.isa, "what it returns, number " + std::to_string(i),
                       found.returned[i], expected.returned[i]);
        }
        for (std::size_t i = 0; i < found.arrays.size(); ++i)
            compare(kernel, draw.arrays()[i], found.isa, found.arrays[i], expected.isa, expected.arrays[i]);
    }
}

using Differ = void (*)(Draw&);
const Differ kDiffer[] = {
#define SPK_KERNEL(name, Args) [](Draw& draw) { differ<Args>(#name, &kernels::Table::name, &draw_##name, draw); },
#include "kernels/list.def"
#undef SPK_KERNEL
};

constexpr const char* kNames[] = {
#define SPK_KERNEL(name, Args) #name,
#include "kernels/list.def"
#undef SPK_KERNEL
};

}  // namespace

std::span<const char* const> kernel_names() { return kNames; }

void differ(std::size_t kernel, std::span<const std::uint8_t> choices, std::uint64_t seed) {
    if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(say_how_to_repeat);
    current_seed = seed;
    current_kernel = kNames[kernel];
    Draw draw(choices, seed * 1000003 + kernel);
    kDiffer[kernel](draw);
}

}  // namespace spk::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return -1;
    std::uint64_t seed = 0;
    for (std::size_t i = 0; i < size; ++i) seed = seed * 31 + data[i];
    spk::fuzz::differ(data[0] % spk::fuzz::kernel_names().size(), {data + 1, size - 1}, seed);
    return 0;
}
