#include "model/verifier.hpp"

#include <algorithm>
#include <utility>

#include "model/arena.hpp"
#include "model/ops/rules.hpp"
#include "model/ports.hpp"
#include "model/text.hpp"

namespace spk {
namespace {

constexpr std::int8_t kUnknown = -1;  // a tensor that nothing has made so far

class Verifier {
  public:
    Verifier(const Image& image, ChannelScales* scales, Program* program)
        : image_(image), program_(*program), scales_(scales), known_(image.tensors.size(), kUnknown) {}

    Status run() {
        if (const Status status = start(); !status.ok()) return status;
        for (std::size_t i = 0; i < image_.inputs.size(); ++i) {
            const Status status = add_input(image_.inputs[i]).at(Place::kInput, static_cast<std::int64_t>(i));
            if (!status.ok()) return status;
        }
        for (std::size_t i = 0; i < image_.ops.size(); ++i) {
            const Status status = add_op(image_.ops[i]).at(Place::kOp, static_cast<std::int64_t>(i));
            if (!status.ok()) return status;
        }
        for (std::size_t i = 0; i < image_.outputs.size(); ++i) {
            const Status status = add_output(image_.outputs[i]).at(Place::kOutput, static_cast<std::int64_t>(i));
            if (!status.ok()) return status;
        }
        const auto unmade = std::find(known_.begin(), known_.end(), kUnknown);
        if (unmade != known_.end())
            return {Code::kFormat, "no operator makes this tensor", Place::kTensor, unmade - known_.begin()};
        if (const Status status = check_port_names(program_); !status.ok()) return status;
        return place_tensors(image_, known_, &program_);
    }

  private:
    Status start() {
        const format::Model& model = image_.model;
        if (model.timesteps < 1 || model.timesteps > format::kMaxTimesteps ||
            model.max_timesteps > format::kMaxTimesteps) {
            return {Code::kFormat, "timesteps must be in 1..2^20"};
        }
        program_.timesteps = model.timesteps;
        program_.max_timesteps = model.max_timesteps;
        program_.image_bytes = image_.bytes.size();
        program_.metadata = image_.metadata;
        program_.tensors.resize(image_.tensors.size());
        program_.ops.reserve(image_.ops.size());
        std::vector<std::string_view> names;
        for (std::size_t i = 0; i < image_.tensors.size(); ++i) {
            const auto& record = image_.tensors[i];
            program_.tensors[i].name = image_.text(record.name_at, record.name_length);
            names.push_back(program_.tensors[i].name);
        }
        return all_different(std::move(names)) ? Status() : Status(Code::kFormat, "two tensors have the same name");
    }

    // Settles tensor `number` and holds what is stored of it against that.
    Status define(std::uint32_t number, const Facts& facts, Phase phase, bool is_input) {
        if (number >= known_.size()) return {Code::kFormat, "there is no tensor of this number"};
        if (known_[number] != kUnknown) return {Code::kFormat, "a tensor is made twice"};
        TensorView& tensor = program_.tensors[number];
        const format::Tensor& record = image_.tensors[number];
        if (const Status status = settle(facts, &tensor); !status.ok()) return status;
        const int flags = (facts.time ? format::kTensorTime : 0) | (facts.per_channel ? format::kTensorPerChannel : 0);
        if (record.rank != tensor.rank || record.sizes != tensor.dims)
            return {Code::kFormat, "a tensor's shape is not what its operator makes"};
        if (record.flags != flags) return {Code::kFormat, "a tensor's flags are not what its operator makes"};
        if (record.f != tensor.f || record.divisor != tensor.divisor)
            return {Code::kFormat, "a tensor's scale is not what its operator makes"};
        if (!is_input && (record.lo != 0 || record.hi != 0)) return {Code::kFormat, "only inputs store a range"};
        known_[number] = static_cast<std::int8_t>(phase);
        return {};
    }

    Status add_input(const format::Port& port) {
        if (port.tensor >= known_.size()) return {Code::kFormat, "there is no tensor of this number"};
        const format::Tensor& record = image_.tensors[port.tensor];
        if (record.rank > kMaxRank) return {Code::kShape, "expected at most five axes"};
        Facts facts;
        facts.rank = record.rank;
        std::copy_n(record.sizes.begin(), record.rank, facts.dims.begin());
        facts.lo = record.lo, facts.hi = record.hi;
        facts.f = record.f, facts.divisor = record.divisor;
        facts.time = (record.flags & format::kTensorTime) != 0;
        const Phase phase = facts.time ? Phase::kLoop : Phase::kBefore;
        if (const Status status = define(port.tensor, facts, phase, true); !status.ok()) return status;
        program_.inputs.emplace_back();
        return read_port(image_, port, program_, &program_.inputs.back());
    }

    Status add_output(const format::Port& port) {
        if (port.tensor >= known_.size() || known_[port.tensor] == kUnknown)
            return {Code::kFormat, "there is no tensor of this number"};
        program_.outputs.emplace_back();
        return read_port(image_, port, program_, &program_.outputs.back());
    }

    Status add_op(const format::Op& record) {
        const OpRule* rule = find_rule(record.kind);
        if (rule == nullptr) return {Code::kUnsupported, "unknown kind of operator"};
        if (rule->inputs != kAnyInputs && rule->inputs != record.inputs)
            return {Code::kFormat, "another number of operands than this operator has"};
        const auto inputs = image_.words.subspan(record.first_word, record.inputs);
        std::vector<Facts> facts;
        Phase latest = Phase::kBefore;
        for (const std::int32_t number : inputs) {
            const bool known =
                number >= 0 && static_cast<std::size_t>(number) < known_.size() && known_[number] != kUnknown;
            if (!known) return {Code::kFormat, "an operand has not been made before it is read"};
            facts.push_back(facts_of(program_.tensors[number]));
            latest = std::max(latest, static_cast<Phase>(known_[number]));
        }
        OpReader op(image_, record, facts, scales_);
        if (!facts.empty()) op.out = facts[0];
        op.out.time = std::any_of(facts.begin(), facts.end(), [](const Facts& x) { return x.time; });
        if (const Status status = rule->check(op); !status.ok()) return status;
        return add_node(record, inputs, op, latest);
    }

    Status add_node(const format::Op& record, std::span<const std::int32_t> inputs, const OpReader& op, Phase latest) {
        const auto* mean = std::get_if<Mean>(&op.params);
        const bool over_time = mean != nullptr && mean->steps > 0;
        if (op.out.time && latest == Phase::kAfter) {
            return {Code::kFormat, "an operator runs at every timestep but reads what is known only after the last"};
        }
        const Phase made = over_time ? Phase::kAfter : op.out.time ? Phase::kLoop : latest;
        const Phase runs = over_time ? Phase::kLoop : made;
        if (record.phase != static_cast<std::uint16_t>(runs))
            return {Code::kFormat, "another phase than the one that this operator runs in"};
        if (runs < last_phase_) return {Code::kFormat, "operators are not in the order of their phases"};
        last_phase_ = runs;
        const Status status = define(record.output, op.out, made, false);
        if (!status.ok()) return status;
        program_.ops.push_back({op.params, runs, inputs, static_cast<std::int32_t>(record.output)});
        return {};
    }

    const Image& image_;
    Program& program_;
    ChannelScales* scales_;
    std::vector<std::int8_t> known_;  // the phase after which each tensor is known
    Phase last_phase_ = Phase::kBefore;
};

}  // namespace

Status verify(const Image& image, ChannelScales* scales, Program* program) {
    return Verifier(image, scales, program).run();
}

}  // namespace spk
