// A FIFO of any depth, pushed and popped at will as long as there is room and something to pop.
//
// What is proved carries its group's name, fifo_...; what only makes it inductive is called inv_...
module fifo_proof #(
    parameter int DEPTH = 4,
    parameter int WIDTH = flit::WIDTH
) (
    input logic clk,
    input logic rst,
    input logic push,
    input logic [WIDTH-1:0] push_word,
    input logic pop,
    input logic tag  // this word shall be followed
);

    localparam int INDEX = DEPTH > 1 ? $clog2(DEPTH) : 1;
    localparam int COUNT = $clog2(DEPTH + 1);

    logic [WIDTH-1:0] head;
    logic full, empty;

    fifo #(
        .WIDTH(WIDTH),
        .DEPTH(DEPTH)
    ) dut (.*);

    // Inside the FIFO: yosys joins these to the wires of the same names.
    (* hierconn *) wire [INDEX-1:0] \dut.first ;
    (* hierconn *) wire [INDEX-1:0] \dut.next ;
    (* hierconn *) wire [COUNT-1:0] \dut.count ;
    (* hierconn *) wire [DEPTH*WIDTH-1:0] \dut.contents ;

    // The model: how many words are held, and one of them, chosen freely, with the number of those ahead of it.
    logic [COUNT-1:0] held, ahead;
    logic seen, inside;
    logic [WIDTH-1:0] word;
    wire  enters = push && tag && !seen;
    wire  leaves = inside && pop && ahead == 0;

    always_ff @(posedge clk) begin
        held <= rst ? '0 : held + COUNT'(push) - COUNT'(pop);
        seen <= !rst && (seen || enters);
        inside <= !rst && (enters || (inside && !leaves));
        ahead <= enters ? held - COUNT'(pop) : ahead - COUNT'(pop);
        if (enters) word <= push_word;
    end

    wire [COUNT:0] end_sum = \dut.first + held;

    logic [DEPTH-1:0] known;  // if the word is due in this slot, it is there
    for (genvar k = 0; k < DEPTH; k++) begin : slot
        wire [COUNT:0] place = k >= \dut.first ? k - \dut.first : k + DEPTH - \dut.first ;
        assign known[k] = !inside || place != ahead || \dut.contents [k*WIDTH+:WIDTH] == word;
    end

    always_comb begin
        if (push) assume (held < DEPTH || pop);
        if (pop) assume (held > 0);
    end

    initial assume (rst);

    // The flags tell the number held, so a word is visible in the cycle after its push and not before; and the n-th word
    // popped is the n-th word pushed, for all n, because the tagged word is any one.
    always_comb
        if (!rst) begin
            fifo_full: assert (full == (held == DEPTH));
            fifo_empty: assert (empty == (held == 0));
            fifo_order: assert (!leaves || head == word);

            inv_count: assert (\dut.count == held && held <= DEPTH);
            inv_first: assert (\dut.first < DEPTH);
            inv_next: assert (\dut.next == (end_sum < DEPTH ? end_sum : end_sum - DEPTH));
            inv_ahead: assert (!inside || ahead < held);
            inv_word: assert (&known);
        end

endmodule
