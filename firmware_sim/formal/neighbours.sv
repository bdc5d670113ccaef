// What surrounds a router: five senders that respect credits, and five receivers that return them. Nothing else is
// assumed of them: they send what and when they like, and take what and when they like.
//
// A sender is the output of another router: credits and a link register. A receiver is its input: a number of flits held.
module neighbours #(
    parameter int DEPTH = 4,
    parameter int LOCAL_CREDITS = 64,
    parameter int COUNT = 7,
    parameter int PATIENCE = 4
) (
    input logic clk,
    input logic rst,

    input logic [flit::PORTS-1:0] send,  // would send in this cycle, if it has a credit
    input logic [flit::PORTS-1:0] take,  // would take in this cycle, if it holds a flit

    output logic [flit::PORTS-1:0] in_valid,
    input logic [flit::PORTS-1:0] in_credit,
    input logic [flit::PORTS-1:0] out_valid,
    output logic [flit::PORTS-1:0] out_credit,

    output logic [flit::PORTS*COUNT-1:0] sender_credits,
    output logic [flit::PORTS*COUNT-1:0] inside,  // flits in each input FIFO of the router, counted from outside
    output logic [flit::PORTS*COUNT-1:0] stored,  // flits that each receiver holds
    output logic [flit::PORTS*PATIENCE-1:0] delay  // cycles that each receiver has held flits and taken none
);

    for (genvar p = 0; p < flit::PORTS; p++) begin : port
        logic sends, takes;
        logic [COUNT-1:0] credits, in_router, held;
        logic [PATIENCE-1:0] slack;

        assign sends = send[p] && credits != 0;
        assign takes = take[p] && held != 0;
        assign out_credit[p] = takes;
        assign sender_credits[p*COUNT+:COUNT] = credits;
        assign inside[p*COUNT+:COUNT] = in_router;
        assign stored[p*COUNT+:COUNT] = held;
        assign delay[p*PATIENCE+:PATIENCE] = slack;

        always_ff @(posedge clk) begin
            if (rst) begin
                credits <= DEPTH;
                in_valid[p] <= 1'b0;
                in_router <= '0;
                held <= '0;
                slack <= '0;
            end else begin
                credits <= credits - COUNT'(sends) + COUNT'(in_credit[p]);
                in_valid[p] <= sends;
                in_router <= in_router + COUNT'(in_valid[p]) - COUNT'(in_credit[p]);
                held <= held + COUNT'(out_valid[p]) - COUNT'(takes);
                slack <= held == 0 || takes ? '0 : slack + 1'b1;
            end
        end
    end

endmodule
