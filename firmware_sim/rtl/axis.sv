// The targets of an event along one axis: from the highest downwards, kernel taps ascending.
//
// Site s, padding p, kernel K and stride d reach output o by tap k = s + p - d * o, so the outputs between
// ceil((s + p - K + 1) / d) and floor((s + p) / d) that lie in the tile are all targets, without a search.
module axis (
    input  logic [ 9:0] site,
    input  logic [11:0] padding,    // two's complement
    input  logic [ 7:0] kernel,
    input  logic        is_double,  // stride 2
    input  logic [ 9:0] low,        // of the tile
    input  logic [10:0] size,
    output logic        none,
    output logic [10:0] more,       // targets, less 1
    output logic [10:0] place,      // of the first target in the tile
    output logic [ 7:0] tap         // its kernel tap
);

    logic signed [13:0] sum, taps, from, to, first, final_one, bottom, top;
    /* verilator lint_off UNUSED */
    logic signed [13:0] left_over, count, offset;  // their upper bits are 0 where there is a target
    /* verilator lint_on UNUSED */

    always_comb begin
        // One unsigned operand would make a shift of all of it logical, so each has a signed name of its own.
        taps = 14'(kernel);
        bottom = 14'(low);
        sum = signed'({4'b0, site}) + signed'({{2{padding[11]}}, padding});
        from = is_double ? (sum - taps + 14'sd2) >>> 1 : sum - taps + 14'sd1;
        to = is_double ? sum >>> 1 : sum;
        top = bottom + signed'(14'(size)) - 14'sd1;
        first = to < top ? to : top;
        final_one = from > bottom ? from : bottom;
        none = first < final_one;
        count = first - final_one;
        offset = first - bottom;
        left_over = is_double ? sum - (first <<< 1) : sum - first;
        more = count[10:0];
        place = offset[10:0];
        tap = left_over[7:0];
    end

endmodule
