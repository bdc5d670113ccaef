// Arguments of kernels, drawn at random within their contracts, and the memory they point to.
//
// Contract: every choice comes from the bytes given first (a fuzzer's input), then from a generator with a seed, the
// same on every machine. Where typical arguments are asked for, sizes are what layers have and contents still random:
// that is what benchmarks call kernels with.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <vector>

#include "kernels/api.hpp"

namespace spk::fuzz {

enum class Element : std::uint8_t { kU8, kI8, kU16, kI16, kI32, kU32 };

template <typename T>
constexpr Element element_of() {
    if constexpr (sizeof(T) == 1) {
        return std::is_same_v<T, std::uint8_t> ? Element::kU8 : Element::kI8;
    } else if constexpr (sizeof(T) == 2) {
        return std::is_same_v<T, std::uint16_t> ? Element::kU16 : Element::kI16;
    } else {
        return std::is_same_v<T, std::uint32_t> ? Element::kU32 : Element::kI32;
    }
}

constexpr std::size_t element_bytes(Element element) {
    return element <= Element::kI8 ? 1 : element <= Element::kI16 ? 2 : 4;
}

// One array that arguments point to. Behind it lie 64 bytes that a kernel may read and must not write; what lies behind
// those, a sanitizer guards.
struct Array {
    static constexpr std::size_t kReadable = 64;
    struct Free {
        void operator()(std::byte* memory) const { ::operator delete(memory, std::align_val_t{64}); }
    };

    const char* name;
    Element element;
    std::size_t bytes;
    bool written;  // by the kernel
    std::unique_ptr<std::byte, Free> data;
    std::vector<std::byte> before;  // what it held when it was drawn, the readable bytes included

    std::span<std::byte> all() const { return {data.get(), bytes + kReadable}; }
};

inline constexpr std::size_t kOverwritten = 32;  // entries past the last event of a list, by api.hpp
inline constexpr std::size_t kOverwrittenEvents = 64, kOverwrittenSlots = 32;  // and past the last of a schedule

class Draw {
  public:
    Draw(std::span<const std::uint8_t> choices, std::uint64_t seed, bool typical = false)
        : choices_(choices), state_(seed), typical_(typical) {}

    bool typical() const { return typical_; }

    // One of [lo, hi], the ends more often than others; `typical` where that is asked for.
    std::size_t size(std::size_t lo, std::size_t hi, std::size_t typical) {
        if (typical_) return typical;
        const std::uint32_t choice = choose();
        if ((choice & 7) == 0) return (choice & 8) != 0 ? lo : hi;
        return lo + (choice >> 4) % (hi - lo + 1);
    }
    std::int32_t number(std::int32_t lo, std::int32_t hi, std::int32_t typical) {
        return typical_ ? typical : lo + static_cast<std::int32_t>(size(0, static_cast<std::size_t>(hi - lo), 0));
    }
    bool flag(bool typical) { return typical_ ? typical : (choose() & 16) != 0; }

    // Contents, random always.
    std::uint64_t bits() {
        state_ += 0x9e3779b97f4a7c15u;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    std::int64_t value(std::int64_t lo, std::int64_t hi) {
        return lo + static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(hi - lo + 1));
    }
    // A share of 256: none, few, a third or all.
    std::uint32_t density() { return std::array{85u, 0u, 26u, 85u, 256u}[size(0, 4, 0)]; }
    bool happens(std::uint32_t density) { return (bits() & 255) < density; }

    // An array of bytes at random, which the kernel reads, or writes.
    template <typename T>
    T* array(const char* name, std::size_t count, bool written = false) {
        const std::size_t bytes = count * sizeof(T), all = bytes + Array::kReadable;
        auto* data = static_cast<std::byte*>(::operator new(all, std::align_val_t{64}));
        arrays_.push_back({name, element_of<T>(), bytes, written, {}, {}});
        arrays_.back().data.reset(data);
        for (std::size_t i = 0; i < all; i += 8) {
            const std::uint64_t word = bits();
            std::memcpy(data + i, &word, all - i < 8 ? all - i : 8);
        }
        return reinterpret_cast<T*>(data);
    }
    template <typename T>
    T* output(const char* name, std::size_t count) {
        return array<T>(name, count, true);
    }
    // Integers in [lo, hi], or of any value, extreme ones among them.
    template <typename T>
    T* integers(const char* name, std::size_t count, std::int64_t lo, std::int64_t hi) {
        T* values = array<T>(name, count);
        for (std::size_t i = 0; i < count; ++i) {
            const std::int64_t edge =
                std::array{lo, hi, lo / 2, std::int64_t{0} < lo ? lo : std::int64_t{0}}[bits() & 3];
            values[i] = static_cast<T>((bits() & 7) == 0 && !typical_ ? edge : value(lo, hi));
        }
        return values;
    }

    // Remembers what all arrays hold now; what is restored before each call.
    void keep() {
        for (Array& each : arrays_) each.before.assign(each.all().begin(), each.all().end());
    }
    void restore() const {
        for (const Array& each : arrays_) std::memcpy(each.data.get(), each.before.data(), each.before.size());
    }
    std::span<const Array> arrays() const { return arrays_; }

  private:
    std::uint32_t choose() {
        if (used_ + 2 > choices_.size()) return static_cast<std::uint32_t>(bits() >> 32);
        used_ += 2;
        return choices_[used_ - 2] | std::uint32_t{choices_[used_ - 1]} << 8;
    }

    std::span<const std::uint8_t> choices_;
    std::size_t used_ = 0;
    std::uint64_t state_;
    bool typical_;
    std::vector<Array> arrays_;
};

// Every kernel has one of these, draw_<name>; a kernel in list.def without one does not link.
using namespace kernels;
#define SPK_KERNEL(name, Args) void draw_##name(Draw& draw, std::remove_const_t<Args>& args);
#include "kernels/list.def"
#undef SPK_KERNEL

}  // namespace spk::fuzz
