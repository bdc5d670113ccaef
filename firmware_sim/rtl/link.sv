// What a link is longer than its sender's register: DELAY further registers, one flit a cycle. Credits are not delayed.
module link #(
    parameter int DELAY = 0
) (
    /* verilator lint_off UNUSED */
    input logic clk,  // not used where DELAY is 0
    input logic rst,
    /* verilator lint_on UNUSED */

    input  logic        in_valid,
    input  flit::flit_t in_flit,
    output logic        out_valid,
    output flit::flit_t out_flit
);

    if (DELAY == 0) begin : direct
        assign out_valid = in_valid;
        assign out_flit  = in_flit;
    end else begin : delayed
        logic [DELAY-1:0] valid;
        logic [DELAY*flit::WIDTH-1:0] flits;  // the oldest highest

        assign out_valid = valid[DELAY-1];
        assign out_flit  = flits[(DELAY-1)*flit::WIDTH+:flit::WIDTH];

        always_ff @(posedge clk) begin
            valid <= rst ? '0 : DELAY'({valid, in_valid});
            flits <= (DELAY * flit::WIDTH)'({flits, in_flit});
        end
    end

endmodule
