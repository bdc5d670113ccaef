#include <algorithm>

#include "model/ops/rules.hpp"

namespace spk::rules {
namespace {

constexpr std::int64_t kMaxCount = 255;
constexpr std::int32_t kMaxLeakShift = 8, kMaxGuard = 31;
constexpr std::size_t kMaxLeakTerms = 3;
constexpr std::int32_t kSettled = 4096;  // steps within which the range of an endless stream must stop growing

struct Range {
    std::int64_t lo = 0, hi = 0;
    bool operator==(const Range&) const = default;
    bool fits() const { return fits_int32(lo, hi); }
    Range hull(Range other) const { return {std::min(lo, other.lo), std::max(hi, other.hi)}; }
};

// leak(m) over a range; false where a partial sum leaves 32 bits.
bool leaked(const Fire& fire, Range stored, Range* result) {
    *result = {};
    for (std::size_t i = 0; i < fire.leak.size(); i += 2) {
        const std::int64_t a = fire.leak[i] * (stored.lo >> fire.leak[i + 1]),
                           b = fire.leak[i] * (stored.hi >> fire.leak[i + 1]);
        result->lo += std::min(a, b), result->hi += std::max(a, b);
        if (!result->fits()) return false;
    }
    return true;
}

// The hull of m - reset(n) over every count n and the potentials of `range` that give it.
Range after_reset(const Fire& fire, Range range) {
    Range result{std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()};
    for (std::int32_t n = 0; n <= fire.count; ++n) {
        const std::int64_t first = n == 0 ? kInt32Min : fire.thresholds[n - 1];
        const std::int64_t last = n == fire.count ? kInt32Max : std::int64_t{fire.thresholds[n]} - 1;
        const std::int64_t low = std::max(range.lo, first), high = std::min(range.hi, last);
        if (low > high) continue;
        if (fire.hard_reset && n > 0) {
            result = result.hull({0, 0});
        } else {
            const std::int64_t amount = fire.hard_reset ? 0 : fire.reset[n];
            result = result.hull({low - amount, high - amount});
        }
    }
    return result;
}

// Whether the potential fits 32 bits at each of `steps` timesteps (0: any number).
Status prove_membrane(const Fire& fire, const Facts& drive) {
    const Range in{shl_sat(drive.lo, fire.guard), shl_sat(drive.hi, fire.guard)};
    Range stored, widest;
    for (std::int32_t step = 0; step < (fire.steps == 0 ? kSettled : fire.steps); ++step) {
        Range now;
        if (!leaked(fire, stored, &now)) return bad_range("leaked potentials do not fit 32 bits");
        now.lo = add_sat(now.lo, in.lo), now.hi = add_sat(now.hi, in.hi);
        if (!now.fits()) return bad_range("membrane potentials do not fit 32 bits");
        const Range grown = now.hull(widest), reset = after_reset(fire, now);
        if (!reset.fits()) return bad_range("reset potentials do not fit 32 bits");
        const Range after = reset.hull(stored);
        if (grown == widest && after == stored) return {};
        widest = grown, stored = after;
    }
    return fire.steps == 0 ? bad_range("the membrane's range keeps growing: it needs a bound of timesteps") : Status();
}

Status check_membrane(const OpReader& op, const Fire& fire, const Array& reset) {
    const Facts& drive = op.x();
    if (!drive.time) return bad_shape("a neuron with a membrane needs a drive that varies in time");
    if (drive.per_channel) return bad_shape("a membrane needs one f for all channels");
    if (fire.rows != 1) return bad_shape("a membrane has one ladder for all channels");
    if (fire.leak.size() % 2 != 0 || fire.leak.size() > 2 * kMaxLeakTerms)
        return bad_shape("a leak has at most three terms");
    for (std::size_t i = 0; i < fire.leak.size(); i += 2) {
        const std::int32_t sign = fire.leak[i], k = fire.leak[i + 1];
        if ((sign != 1 && sign != -1) || k < 0 || k > kMaxLeakShift) return bad_shape("bad leak term");
    }
    if (fire.guard < 0 || fire.guard > kMaxGuard) return bad_shape("bad guard bits");
    // Where steps are bounded, they cover every run and every stream that the model allows.
    const auto longest = static_cast<std::int32_t>(std::max(op.timesteps(), op.max_timesteps()));
    if (fire.steps < 0 || fire.steps > static_cast<std::int32_t>(format::kMaxTimesteps))
        return bad_shape("bad number of steps");
    if (fire.steps != 0 && fire.steps < longest)
        return bad_range("a membrane is proven for fewer timesteps than the model runs");
    if (reset.present() == fire.hard_reset) return bad_fields();
    if (reset.present() && reset.size(0) != fire.count + 1)
        return bad_shape("a soft reset needs one amount for each count");
    return prove_membrane(fire, drive);
}

bool ladders_rise(const Fire& fire) {
    for (std::int32_t row = 0; row < fire.rows; ++row) {
        const std::int32_t* ladder = fire.thresholds + std::int64_t{row} * fire.count;
        if (!std::is_sorted(ladder, ladder + fire.count)) return false;
    }
    return true;
}

}  // namespace

Status fire(OpReader& op) {
    Fire fire;
    const Array thresholds = op.array(format::kBlobInt32, format::kPlain, 2);
    fire.membrane = op.boolean();
    fire.leak = op.tuple();
    fire.hard_reset = op.boolean();
    const Array reset = op.optional_array(format::kBlobInt32, 1);
    fire.guard = op.integer();
    fire.steps = op.integer();
    if (!op.done()) return bad_fields();
    const std::int64_t rows = thresholds.size(0), count = thresholds.size(1);
    if (count > kMaxCount) return bad_shape("the greatest count must be in 1..255");
    if (rows != 1 && rows != op.x().last()) return bad_shape("expected thresholds for one or for all channels");
    fire.thresholds = thresholds.int32();
    fire.rows = static_cast<std::int32_t>(rows), fire.count = static_cast<std::int32_t>(count);
    fire.reset = reset.present() ? reset.int32() : nullptr;
    if (!ladders_rise(fire)) return bad_range("thresholds must not decrease");
    if (fire.membrane) {
        if (const Status status = check_membrane(op, fire, reset); !status.ok()) return status;
    } else if (!fire.leak.empty() || fire.hard_reset || reset.present() || fire.guard != 0 || fire.steps != 1) {
        return bad_fields();
    }
    op.out.lo = 0, op.out.hi = count;
    op.out.f = 0, op.out.divisor = 1;
    op.out.per_channel = false, op.out.channel_f = {};
    op.params = fire;
    return {};
}

}  // namespace spk::rules
