// One flit, chosen freely among all that ever come in by one input, and followed from outside: how many flits of its
// input are ahead of it, and since when. The k-th credit that an input returns tells that its k-th flit has left it.
module followed_flit #(
    parameter int COUNT = 7,
    parameter int AGE = 12
) (
    input logic clk,
    input logic rst,
    input logic enter,              // it comes in now
    input logic [COUNT-1:0] before, // flits in the input FIFO
    input logic pop,                // of that FIFO
    output logic seen,              // it has come in
    output logic queued,            // it is in the input FIFO
    output logic on_link,           // it is in the link register of its output
    output logic [COUNT-1:0] ahead, // flits that leave the FIFO before it
    output logic [AGE-1:0] age,     // cycles that it has been visible in the FIFO
    output logic [AGE-1:0] head_age // cycles that it has been the head
);

    wire leaves = queued && pop && ahead == 0;

    always_ff @(posedge clk) begin
        seen <= !rst && (seen || enter);
        queued <= !rst && (enter || (queued && !leaves));
        on_link <= !rst && leaves;
        ahead <= enter ? before - COUNT'(pop) : ahead - COUNT'(pop);
        age <= enter ? '0 : age + 1'b1;
        head_age <= enter || ahead != 0 ? '0 : head_age + 1'b1;
    end

endmodule
