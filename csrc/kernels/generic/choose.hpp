// Which lanes a bit-plane chooses, and sums over the chosen lanes: vectors of ones where the instruction set has no
// masks of its own (those that do define SPK_HAS_CHOICE, and the same five functions).

namespace spk::kernels::SPK_ISA {

// Whether there are 32 vector registers, or half as many.
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr bool kManyRegisters = true;
#else
inline constexpr bool kManyRegisters = false;
#endif

#if !defined(SPK_HAS_CHOICE)
using Choice16 = v16;
using Choice32 = v32;

// Lanes whose count (kLanes16 of them), or whose weight (kLanes32), has bit `plane` set.
SPK_INLINE Choice16 chosen_counts(const std::uint8_t* from, int plane) {
    return (widen_counts(from) << (15 - plane)) >> 15;
}
SPK_INLINE Choice32 chosen_weights(const void* from, int plane) {
    return (reinterpret_cast<v32>(widen_u8(static_cast<const std::uint8_t*>(from))) << (31 - plane)) >> 31;
}
SPK_INLINE v16 add_chosen(v16 sum, Choice16 lanes, v16 value) { return sum + (value & lanes); }
SPK_INLINE v32 add_chosen(v32 sum, Choice32 lanes, v32 value) { return sum + (value & lanes); }

// One less where a threshold lies above: a comparison gives -1 where it holds.
SPK_INLINE v32 less_where_above(v32 n, v32 threshold, v32 potential) { return n + (threshold > potential); }
#endif

}  // namespace spk::kernels::SPK_ISA
