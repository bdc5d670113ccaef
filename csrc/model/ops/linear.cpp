#include "model/ops/rules.hpp"
#include "model/ops/synapse.hpp"

namespace spk::rules {

Status linear(OpReader& op) {
    Linear linear;
    const std::int8_t* exponent = nullptr;
    if (!read_synapse(op, false, &linear, &exponent) || !op.done()) return bad_fields();
    const Weights& w = linear.weight;
    if (w.groups != 1 || w.kh != 1 || w.kw != 1) return bad_fields();
    if (op.x().rank < 1 || op.x().last() != w.inputs)
        return bad_shape("the operand has another number of features than the weights");
    op.out.dims[op.out.rank - 1] = w.outputs;
    op.params = linear;
    return infer_synapse(op, linear, exponent);
}

}  // namespace spk::rules
