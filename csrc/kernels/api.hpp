// Arguments of the kernels: everything that touches a weight, an accumulator or a potential.
//
// Contract: a kernel is a plain function that takes one struct by reference. It lives in section `spk_synapse`, calls
// nothing, and holds no multiplication, division or floating-point instruction: pointers, strides (in bytes unless said
// otherwise) and shifts come in ready made. Sums wrap modulo 2^32, or 2^16 where the caller proved that the true sum
// fits 16 bits. Nothing aliases but where a field says so. Kernels may read, never write, up to 64 bytes past the end
// of a tensor.
//
// Weights, accumulators and potentials are opaque types: only the kernels look inside.
#pragma once

#include <cstddef>
#include <cstdint>

// The name of the section is a C identifier, and the functions are visible: both survive stripping.
#define SPK_SYNAPSE extern "C" __attribute__((noinline, used, visibility("default"), section("spk_synapse")))

namespace spk::kernels {

enum class weight_t : std::int8_t {};
enum class multiple_t : std::int16_t {};  // a small multiple of a weight
enum class acc_t : std::int32_t {};       // an accumulator or a potential

// One run of event lists for each output position: the events of an input row, of one channel block, that lie under one
// kernel row (`span` columns from column `x`, which moves by the stride from one output to the next).
struct EventRow {
    const std::uint16_t* events;   // column * block + channel of each event, by rising column
    const std::uint32_t* offsets;  // [plane][width + 1]: where each column starts in `events`
    const void* weights;  // row of event 0, less what `x` columns take; weight_t, or multiple_t of folded kernels
    std::ptrdiff_t x;     // first column under the kernel for the first output; may lie outside
    std::ptrdiff_t span;  // columns
};

// acc[pixel][o] (+)= (sum over planes p, low <= p <= top, of 2^(p - low) * sum over events of weights[event][o]) <<
// shift
struct GatherArgs {
    const EventRow* rows;
    std::size_t row_count;
    acc_t* acc;                  // of the first output
    std::size_t acc_step;        // from one output to the next
    std::size_t pixels;          // outputs
    std::ptrdiff_t width;        // columns of the input row
    std::ptrdiff_t stride;       // columns
    std::ptrdiff_t weight_step;  // bytes of weights that `stride` columns take
    std::size_t planes;          // how many bit-planes, top - low + 1
    std::ptrdiff_t top;          // of `offsets`, bytes from plane 0 to plane `top`
    std::ptrdiff_t plane_step;   // and from one plane to the next
    std::int32_t shift;
    bool negate;  // plane `top` is a sign: it is subtracted
    bool add;     // add to acc, else set it
};

// The same for a schedule: an event's number less `number` is the staged row that it selects, for the first output.
struct ScheduleRow {
    const std::uint16_t* events;
    const std::uint32_t* offsets;
    std::ptrdiff_t x, span;
    std::uint16_t number;  // modulo 2^16: to be added
};

// One flat list of groups of 8 rows (numbers below 8192) for outputs of a row. Outputs and planes (from the top one
// down) have a slot each, and every slot at least one group; groups are filled up with the row of zeros.
struct ScheduleArgs {
    const ScheduleRow* rows;
    std::size_t row_count;
    std::size_t pixels;
    std::ptrdiff_t width, stride;  // columns
    std::size_t planes;
    std::ptrdiff_t top, plane_step;  // as for GatherArgs
    std::uint16_t number_step;       // of the numbers of one output and the next
    std::uint16_t zero_row;
    std::uint16_t* events;  // out: [groups][8], rows times 8; up to 128 bytes more are overwritten
    std::uint16_t* slots;   // out: [groups]; up to 64 bytes more are overwritten
    std::size_t groups;     // out
};

// Rows of weights with `bias` added, 64 bytes apart.
struct StageArgs {
    const weight_t* weights;  // [rows][width]
    void* out;
    std::size_t rows, width;  // width: 64, 32 or 16
    std::uint8_t bias;
};

// Running sums over all groups, stored after each in its slot.
struct FlatArgs {
    const void* weights;  // staged, with a bias of 128, less where rows are added as bytes: 64, 32, 16
    const std::uint16_t* events;
    const std::uint16_t* slots;
    std::size_t groups;
    void* sums;  // [slot][two halves of as many bytes as there are outputs]; aligned to 64
};

// acc[pixel][o] (+)= (sum over planes, from the top one down, of 2^p * what the slot adds to the one before) << shift
struct SettleArgs {
    const void* sums;  // of the first output's first plane; the running sum before it is 0
    std::size_t pixels, planes;
    acc_t* acc;
    std::size_t acc_step;
    std::int32_t shift;
    bool negate;  // the first plane is a sign
    bool add;
};

// Event lists of one input row and one channel block. For each plane, low to high, the list follows the previous one.
struct ScanArgs {
    const void* x;       // uint8_t or int32_t, first channel of the block in column 0
    std::size_t x_step;  // from one column to the next
    std::size_t width, channels;
    std::size_t block;  // what one column adds to an event's number
    std::size_t planes;
    std::uint16_t* events;  // 32 entries past the last event are overwritten
    std::uint32_t* offsets;
    std::size_t plane_step;  // of `offsets`, in bytes
    std::uint32_t count;     // in: where the first list starts; out: where the last one ends
};

// The same for digits: an integer's digit v (`bits` bits from bit `shift` on) is one event, block entries wide:
// number = column * block + (channel << spread) + v - 1. Nothing is listed for a digit 0.
struct DigitArgs {
    const std::uint8_t* x;
    std::size_t x_step;
    std::size_t width, channels;
    std::size_t block;
    std::int32_t spread, bits;
    std::size_t digits;
    std::uint16_t* events;  // 8 entries past the last event are overwritten
    std::uint32_t* offsets;
    std::size_t digit_step;  // of `offsets`, in bytes
    std::uint32_t count;     // in: where the first list starts; out: where the last one ends
};

// One kernel row of a look-up: the input row it lies on, and multiples 0 to 15 of its weights.
struct LookupRow {
    const std::uint8_t* x;        // column 0
    const multiple_t* multiples;  // [byte under the kernel row][16][outputs]
};

// acc[pixel][o] (+)= sum over rows and bytes of the window of byte * weights[byte][o]: the two digits of a byte select
// one multiple each, so that the work is the same whatever the bytes are. Columns come as bytes, all channels of one
// together.
struct LookupArgs {
    const LookupRow* rows;
    std::size_t row_count;
    acc_t* acc;                          // of the first output
    std::size_t acc_step;                // from one output to the next
    std::size_t pixels;                  // outputs
    std::ptrdiff_t first;                // byte of the first output's window; may lie outside
    std::ptrdiff_t stride, span, width;  // bytes: between windows, of a window, of the input row
    bool add;                            // add to acc, else set it
};

// The events of one input row, added to the sums of the three rows of outputs that a 3x3 kernel brings it to.
struct ScatterArgs {
    const std::uint16_t* events;   // by rising column
    const std::uint32_t* offsets;  // [width + 1]
    std::size_t width;             // columns
    std::size_t number_step;       // numbers of a column
    const multiple_t*
        multiples[3];         // by kernel row: [number within a column][lanes], kernel columns from last to first
    multiple_t* sums[3];      // by kernel row: what the first column adds to, all lanes; they may be the same
    std::ptrdiff_t sum_step;  // bytes from one column to the next
};

// Sums of 16 bits as accumulators.
struct WidenArgs {
    const multiple_t* in;
    acc_t* out;
    std::size_t count;
};

// Multiples of rows of weights, made by additions: out[row][v - 1][o] = weights[row][o] * v for v in 1..count.
struct MultiplesArgs {
    const weight_t* weights;  // [rows][width]
    multiple_t* multiples;    // [rows][1 << spread][width]
    std::size_t rows, width;  // width: a multiple of 16
    std::size_t count;
    std::size_t row_step;  // of `multiples`, in bytes
};

// out[pixel][o] = (acc[pixel][o] << shift[o]) + bias[o]; acc may be out itself
struct FinishArgs {
    const acc_t* acc;
    std::size_t acc_step;
    void* out;  // acc_t or uint8_t
    std::size_t out_step;
    std::size_t pixels, channels;
    const std::int32_t* shifts;
    const std::int32_t* biases;
};

// Where two arrays differ: four bytes at a time, from byte `first` to byte `end`; `end` is 0 where they are the same.
struct CompareArgs {
    const void* a;
    const void* b;
    std::size_t bytes;        // below 2^31
    std::int32_t first, end;  // out
};

// What counts gained and lost: more[i] = max(now[i] - then[i], 0), fewer[i] = max(then[i] - now[i], 0)
struct DifferArgs {
    const std::uint8_t* now;
    const std::uint8_t* then;
    std::uint8_t* more;
    std::uint8_t* fewer;
    std::size_t count;
    std::uint64_t rose, fell, nonzero;  // out: how many did; how many are not 0 now
};

// out[pixel][o] += acc[pixel][o] << shift[o], or -= where `negate`
struct AdjustArgs {
    const acc_t* acc;
    std::size_t acc_step;
    void* out;  // acc_t or uint8_t, whose sums wrap modulo 2^8
    std::size_t out_step;
    std::size_t pixels, channels;
    const std::int32_t* shifts;
    bool negate;
};

// Masks of a block of 16 channels of one input row: 16 lanes of 16 bits for each column and plane, ones where the bit
// is set.
struct MaskArgs {
    const std::uint8_t* x;
    std::size_t x_step;
    std::size_t width;
    std::size_t plane, planes;  // the first, and how many
    std::uint16_t* masks;       // [column][plane][16]
};

// One output row of a depthwise convolution, 16 channels, `planes` (1 to 4) bit-planes from masks:
// acc[pixel][lane] (+)= (sum over planes of 2^p * sum over rows, taps of (mask & weight)) << shift
struct DepthwiseArgs {
    const std::uint16_t* const* rows;  // masks at tap 0 of output 0, one pointer for each kernel row
    const weight_t* const* weights;    // [tap][16 lanes], taps `weight_step` apart
    std::size_t row_count, taps;
    std::size_t tap_step, pixel_step;  // of masks
    std::size_t weight_step;
    std::size_t pixels;
    acc_t* acc;  // [pixel][16]
    std::int32_t shift;
    bool add;
};

// One output row of a depthwise convolution, any number of channels: out[pixel][c] = (sum over rows and taps of
// x[column][c] * weights[tap][c]) << shifts[c]) + biases[c], where column = first + pixel * stride + tap * dilation;
// what lies outside 0..width adds nothing. Counts: the bit-planes of x choose weights, and the caller proved that sums
// fit 16 bits. Integers of any range: the bit-planes of the weights choose inputs.
struct DepthwiseRowArgs {
    const void* const* rows;         // the input's rows under the kernel, at column 0; uint8_t or int32_t
    const weight_t* const* weights;  // of each of these rows; 64 bytes past the last tap may be read
    std::size_t row_count, taps;
    std::ptrdiff_t weight_step;                     // from one tap to the next
    std::ptrdiff_t column_step;                     // of the input, in bytes
    std::ptrdiff_t first, stride, dilation, width;  // columns
    std::ptrdiff_t pixel_step, tap_step;            // bytes of the input that `stride` and `dilation` columns take
    std::ptrdiff_t first_step;                      // and `first` columns
    std::size_t pixels, channels;
    std::int32_t planes;  // of the input, or of the weights, whose top one is the sign
    void* out;            // acc_t, or uint8_t where `bytes`
    std::size_t out_step;
    const std::int32_t* shifts;
    const std::int32_t* biases;
    bool bytes;
};

// out[row][i] = in[row][i] << shift
struct CopyArgs {
    const void* in;
    void* out;
    std::size_t rows, count;
    std::ptrdiff_t in_row, out_row, in_step, out_step;
    std::int32_t shift;
};

// out[row][i] = max(out[row][i], in[row][i]), or out[row][i] + in[row][i]; an out_step of 0 gathers into one integer
using GatherInto = CopyArgs;

// out[i] = (a[i] << shift_a) + (b[i] << shift_b)
struct AddArgs {
    const acc_t* a;
    const acc_t* b;
    acc_t* out;
    std::size_t count;
    std::int32_t shift_a, shift_b;
};

// out[i] = floor(in[i] * 2^-shift + 1/2)
struct AlignArgs {
    const void* in;
    void* out;
    std::size_t count;
    std::int32_t shift;
};

// Counts. Ladder: how many k have in >= thresholds[k]. Uniform: (clamp(in, first - 1, last) - first >> shift) + 1.
struct FireArgs {
    const void* in;  // uint8_t or acc_t, [pixels][channels]
    std::uint8_t* out;
    std::size_t pixels, channels;
    const std::int32_t* thresholds;  // [count][step / 4 channels]; of one ladder for all channels, [count]
    std::size_t step;                // bytes from one threshold to the next
    std::size_t count;
    std::int32_t first, last, shift;
};

// m = sum of terms sign * (stored >> k) + (drive << guard); out = counts of m; stored = m - reset(out), or 0 where out
// > 0
struct MembraneArgs {
    const void* drive;  // uint8_t or acc_t
    acc_t* stored;
    std::uint8_t* out;
    std::size_t count;  // neurons
    const std::int32_t* thresholds;
    const std::int32_t* resets;  // [thresholds]: what each further count takes away
    std::size_t threshold_count;
    std::int32_t reset_zero;  // what a count of 0 takes away
    std::int32_t guard;
    const std::int32_t* leak;  // sign, k, sign, k, ...
    std::size_t leak_terms;
    bool hard;
};

// Statistics of integers, for profiles and for checking inputs.
struct CountArgs {
    const void* in;
    std::size_t count;
    std::uint64_t magnitude;  // out: sum of |n|
    std::uint64_t bits;       // out: bits set, of `mask`, or digits of four bits other than 0
    std::uint64_t events;     // out: integers other than 0
    std::uint32_t mask;
    bool digits;
};
struct RangeArgs {
    const void* in;
    std::size_t count;
    std::int32_t lo, hi;  // out
};
struct WeightBitsArgs {  // bits set in the weights that meet an integer other than 0
    const void* in;
    const weight_t* weights;
    std::size_t count;
    std::uint32_t mask;  // of the bits that count
    std::uint64_t bits;  // out
};

}  // namespace spk::kernels
