#include "runtime/past.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "runtime/moves.hpp"

namespace spk {
namespace {

constexpr std::size_t kOverread = 64;      // kernels may read so far past a tensor
constexpr double kTooMuch = 0.9;           // of the outputs of gathered synapses
constexpr std::uint32_t kPause = 8;        // runs
constexpr std::uint64_t kWorthEvents = 4;  // of a count that changed, against one that is not 0

bool is_synapse(const Op& op) {
    return std::holds_alternative<Conv2d>(op.params) || std::holds_alternative<Linear>(op.params);
}
bool is_gathered(const Op& op) { return is_synapse(op) && !synapse_of(op).weight.depthwise; }

}  // namespace

Differences::Differences(const GatherPlan& whole)
    : plan(whole), shifts(whole.grid.shifts), looked_up(whole.looked_up()) {
    std::fill(plan.grid.shifts.begin(), plan.grid.shifts.end(), 0);
    std::fill(plan.grid.biases.begin(), plan.grid.biases.end(), 0);
    plan.grid.identity = true;
}

Status Past::possible(const Program& program) {
    if (program.timesteps != 1 || program.state_bytes != 0) {
        return {Code::kUnsupported,
                "an incremental runtime takes models of one timestep without membranes: this one has state of its own "
                "(streams use step)"};
    }
    for (const TensorView& tensor : program.tensors) {
        if (tensor.bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max())) {
            return {Code::kUnsupported, "an incremental runtime takes tensors of less than 2 GB"};
        }
    }
    return {};
}

Past::Past(const Program& program) : program_(program), places_(program.tensors.size()) {
    const auto take = [&](std::uint64_t size) {
        const std::uint64_t at = bytes_;
        bytes_ += align64(size + kOverread);
        return at;
    };
    for (const Op& op : program_.ops) {
        if (is_gathered(op)) place(op.inputs[0]).differs = program_.tensors[op.inputs[0]].dtype == Dtype::kUint8;
    }
    std::uint64_t largest = 0;
    std::size_t rows = 0;
    for (std::size_t i = 0; i < places_.size(); ++i) {
        TensorView& tensor = program_.tensors[i];
        Place& place = places_[i];
        tensor.arena = take(tensor.bytes);
        if (place.differs) {
            place.gained = take(tensor.bytes);
            place.lost = take(tensor.bytes);
        }
        const Map map(tensor);
        place.rows = map.rows;
        place.first_row = rows;
        place.column_bytes = map.channels * element_bytes(tensor);
        place.row_bytes = map.width * place.column_bytes;
        rows += place.rows;
        largest = std::max(largest, tensor.bytes);
    }
    for (const Op& op : program_.ops) {  // accumulators of 32 bits
        if (is_gathered(op)) largest = std::max(largest, program_.tensors[op.output].size * sizeof(std::int32_t));
    }
    beside_ = take(largest);
    columns_.resize(rows);
    counts_.resize(rows);
}

void Past::start(const Context& context, std::vector<std::optional<Differences>> differences) {
    differences_ = std::move(differences);
    for (std::size_t i = 0; i < places_.size(); ++i) {
        if (!places_[i].differs) continue;
        std::memset(context.arena + places_[i].gained, 0, program_.tensors[i].bytes);
        std::memset(context.arena + places_[i].lost, 0, program_.tensors[i].bytes);
    }
}

// Where most was done anew, the next runs do it without looking for what changed.
void Past::remember() {
    double done = 0, all = 0;
    for (std::size_t op = 0; op < differences_.size() && known_; ++op) {
        if (!differences_[op]) continue;
        const Place& out = place(program_.ops[op].output);
        const auto elements = static_cast<double>(program_.tensors[program_.ops[op].output].size);
        const double channels = elements * static_cast<double>(out.column_bytes) /
                                (static_cast<double>(out.row_bytes) * static_cast<double>(out.rows));
        const Work work = this->work(op);
        all += elements;
        if (work == Work::kAll) done += elements;
        if (work != Work::kPart) continue;
        for (std::size_t row = out.first_row; row < out.first_row + out.rows; ++row) {
            const Columns& columns = columns_[row];
            if (!columns.empty()) done += static_cast<double>(columns.end - columns.first) * channels;
        }
    }
    if (known_ && done > all * kTooMuch) pause_ = kPause;
    known_ = pause_ == 0;
    pause_ -= pause_ != 0 ? 1 : 0;
}

// Whether its outputs can be computed for some columns alone, and are potentials, which need no comparison.
bool Past::is_map(std::size_t index) const {
    const Op& op = program_.ops[index];
    if (place(op.output).differs) return false;
    return std::holds_alternative<Conv2d>(op.params) || is_plain_add(program_, op);
}

// Counts are worth looking for what changed; who reads potentials will see.
bool Past::is_compared(std::size_t index) const {
    return program_.tensors[program_.ops[index].output].dtype == Dtype::kUint8;
}

Past::Work Past::work(std::size_t index) const {
    const Op& op = program_.ops[index];
    if (!known_) return Work::kAll;
    const auto changed = [&](std::int32_t input) { return place(input).changed; };
    if (std::none_of(op.inputs.begin(), op.inputs.end(), changed)) return Work::kNothing;
    const Place& in = place(op.inputs[0]);
    const bool gathered = is_gathered(op) && !place(op.output).differs && in.differs;
    if (gathered && !differences_[index]->looked_up && in.changes() * kWorthEvents < in.near) return Work::kDifferences;
    return is_fire(index) || is_map(index) ? Work::kPart : Work::kAll;
}

// The tensor holds other values now, and nobody compared them.
void Past::replaced(std::int32_t tensor) {
    Place& place = this->place(tensor);
    place.changed = true;
    if (place.differs) return;  // nothing is known: nobody asks
    const auto width = static_cast<std::int32_t>(place.row_bytes / place.column_bytes);
    std::fill_n(columns_.begin() + static_cast<std::ptrdiff_t>(place.first_row), place.rows, Columns{0, width});
}

void Past::settle(const Context& context, std::int32_t tensor, const Columns* only) {
    Place& place = this->place(tensor);
    const auto width = static_cast<std::int32_t>(place.row_bytes / place.column_bytes);
    context.pool->run(place.rows, [&](std::size_t row, std::uint32_t) {
        settle_row(context, tensor, row, only != nullptr ? only[row] : Columns{0, width});
    });
    place.changed = false;
    place.more = place.fewer = place.near = 0;
    for (std::size_t row = place.first_row; row < place.first_row + place.rows; ++row) {
        if (columns_[row].empty()) continue;
        place.changed = true;
        place.more += counts_[row].more;
        place.fewer += counts_[row].fewer;
        place.near += counts_[row].nonzero;
    }
}

void Past::settle_row(const Context& context, std::int32_t tensor, std::size_t row, Columns within) {
    const Place& place = this->place(tensor);
    Columns& columns = columns_[place.first_row + row];
    Counts& counts = counts_[place.first_row + row];
    const std::size_t start = row * place.row_bytes;
    std::byte* then = context.data(tensor) + start;
    std::byte* now = context.arena + beside_ + start;
    std::byte *gained = context.arena + place.gained + start, *lost = context.arena + place.lost + start;
    const auto at = [&](std::int32_t column) { return static_cast<std::size_t>(column) * place.column_bytes; };
    if (place.differs && !columns.empty()) {
        std::memset(gained + at(columns.first), 0, at(columns.end) - at(columns.first));
        std::memset(lost + at(columns.first), 0, at(columns.end) - at(columns.first));
    }
    counts = {};
    columns = {};
    if (within.empty()) return;
    kernels::CompareArgs compare{then + at(within.first), now + at(within.first), at(within.end) - at(within.first), 0,
                                 0};
    context.kernels->compare(compare);
    if (compare.end == 0) return;
    const auto column = [&](std::int32_t byte) { return static_cast<std::int32_t>(byte / place.column_bytes); };
    columns = {within.first + column(compare.first), within.first + column(compare.end - 1) + 1};
    const std::size_t first = at(columns.first), end = at(columns.end);
    if (place.differs) {
        const auto bytes = [](auto* data) { return reinterpret_cast<std::uint8_t*>(data); };
        kernels::DifferArgs differ{};
        differ.now = bytes(now) + first;
        differ.then = bytes(then) + first;
        differ.more = bytes(gained) + first;
        differ.fewer = bytes(lost) + first;
        differ.count = end - first;
        context.kernels->differ(differ);
        counts.more = static_cast<std::uint32_t>(differ.rose);
        counts.fewer = static_cast<std::uint32_t>(differ.fell);
        counts.nonzero = static_cast<std::uint32_t>(differ.nonzero);
    }
    std::memcpy(then + first, now + first, end - first);
}

// Outputs whose windows hold a column that changed.
void Past::reach(const SynapseShape& shape, const Place& in, const Place& out) {
    for (std::int32_t row = 0; row < shape.batch * shape.out_height; ++row) {
        const std::int32_t image = row / shape.out_height, y = row % shape.out_height * shape.stride_y - shape.top;
        Columns found{shape.out_width, 0};
        for (std::int32_t ky = 0; ky < shape.kh; ++ky) {
            const std::int32_t in_y = y + ky * shape.dilation_y;
            if (in_y < 0 || in_y >= shape.height) continue;
            const Columns& columns = columns_[in.first_row + static_cast<std::size_t>(image) * shape.height + in_y];
            if (columns.empty()) continue;
            const std::int32_t first = columns.first + shape.left - (shape.kw - 1) * shape.dilation_x;
            const std::int32_t last = (columns.end - 1 + shape.left) / shape.stride_x;
            found.first = std::min(found.first, (std::max(first, 0) + shape.stride_x - 1) / shape.stride_x);
            found.end = std::max(found.end, std::min(last + 1, shape.out_width));
        }
        columns_[out.first_row + row] = found;
    }
}

// The region of outputs that may change; all of them where a synapse has no map.
Region Past::visit(std::size_t index) {
    const Op& op = program_.ops[index];
    const Place& in = place(op.inputs[0]);
    Place& out = place(op.output);
    if (is_fire(index)) return {nullptr, &columns_[in.first_row]};
    out.changed = true;
    if (std::holds_alternative<Conv2d>(op.params)) {
        reach(shape_of(program_, op), in, out);
    } else if (is_synapse(op)) {
        const Columns all{0, static_cast<std::int32_t>(out.row_bytes / out.column_bytes)};
        std::fill_n(columns_.begin() + static_cast<std::ptrdiff_t>(out.first_row), out.rows, all);
    } else {
        join(place(op.inputs[0]), place(op.inputs[1]), out);
    }
    return {nullptr, &columns_[out.first_row]};
}

// Columns that changed in one of two inputs.
void Past::join(const Place& a, const Place& b, const Place& out) {
    for (std::size_t row = 0; row < out.rows; ++row) {
        const Columns one = a.changed ? columns_[a.first_row + row] : Columns{};
        const Columns other = b.changed ? columns_[b.first_row + row] : Columns{};
        Columns& both = columns_[out.first_row + row];
        both = one.empty() ? other : one;
        if (!one.empty() && !other.empty()) {
            both = {std::min(one.first, other.first), std::max(one.end, other.end)};
        }
    }
}

void Past::run_differences(Context& context, std::size_t index) {
    const Op& op = program_.ops[index];
    const GatherPlan& plan = differences_[index]->plan;
    const Place& in = place(op.inputs[0]);
    Region region = visit(index);
    region.inputs = &columns_[in.first_row];
    if (std::holds_alternative<Conv2d>(op.params)) context.region = &region;
    for (const bool negate : {false, true}) {
        if ((negate ? in.fewer : in.more) == 0) continue;
        {
            const Moved input(&program_, op.inputs[0], negate ? in.lost : in.gained);
            Moved output(&program_, op.output, beside_);
            output.hold(Dtype::kInt32);
            run_gather(context, op, plan);
        }
        adjust(context, index, negate);
    }
    context.region = nullptr;
    context.events.forget(op.output);
}

void Past::adjust(const Context& context, std::size_t index, bool negate) const {
    const Op& op = program_.ops[index];
    const TensorView& out = context.tensor(op.output);
    const Place& place = this->place(op.output);
    const auto channels = static_cast<std::size_t>(synapse_of(op).out_channels);
    context.pool->run(place.rows, [&](std::size_t row, std::uint32_t) {
        const Columns& columns = columns_[place.first_row + row];
        if (columns.empty()) return;
        const std::size_t first =
            row * (place.row_bytes / place.column_bytes) + static_cast<std::size_t>(columns.first);
        kernels::AdjustArgs args{};
        args.acc_step = channels * sizeof(std::int32_t);
        args.acc = reinterpret_cast<const kernels::acc_t*>(context.arena + beside_ + first * args.acc_step);
        args.out_step = place.column_bytes;
        args.out = context.data(out) + first * args.out_step;
        args.pixels = static_cast<std::size_t>(columns.end - columns.first);
        args.channels = channels;
        args.shifts = differences_[index]->shifts.data();
        args.negate = negate;
        out.dtype == Dtype::kUint8 ? context.kernels->adjust_u8(args) : context.kernels->adjust_i32(args);
    });
}

std::uint64_t Past::events(Context& context, std::size_t index) {
    const Op& op = program_.ops[index];
    const Work work = this->work(index);
    if (work == Work::kNothing) return 0;
    if (work == Work::kDifferences) return place(op.inputs[0]).changes();
    const Region region = work == Work::kPart ? visit(index) : Region{};
    if (work == Work::kPart) context.region = &region;
    const std::uint64_t events = count_events(context, op);
    context.region = nullptr;
    return events;
}

void Past::profile_differences(Context& context, std::size_t index, LayerProfile* layer) {
    const Op& op = program_.ops[index];
    const Place& in = place(op.inputs[0]);
    const std::uint64_t elements = layer->elements + context.tensor(op.inputs[0]).size;
    for (const std::uint64_t at : {in.gained, in.lost}) {
        const Moved input(&program_, op.inputs[0], at);
        profile_gather(context, op, differences_[index]->plan, layer);
    }
    layer->elements = elements;
}

}  // namespace spk
