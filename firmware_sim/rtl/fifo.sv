// First in, first out. A word pushed in cycle c is visible from c+1: there is no way past the slots.
//
// Push only what has room (not full, or popped in the same cycle) and pop only what is there (not empty): neither is
// checked by logic, because credits and the proofs in firmware_sim/formal make both impossible.
module fifo #(
    parameter int WIDTH = 96,  // bits of a word
    parameter int DEPTH = 4    // slots, at least 1, of any number
) (
    input  logic             clk,
    input  logic             rst,
    input  logic             push,
    input  logic [WIDTH-1:0] push_word,
    input  logic             pop,
    output logic [WIDTH-1:0] head,  // the oldest word, if not empty
    output logic             full,
    output logic             empty
);

    localparam int INDEX = DEPTH > 1 ? $clog2(DEPTH) : 1;
    localparam int COUNT = $clog2(DEPTH + 1);

    logic [WIDTH-1:0] slots[DEPTH];
    logic [INDEX-1:0] first;  // slot of the oldest word
    logic [INDEX-1:0] next;   // slot of the next word to come
    logic [COUNT-1:0] count;

    function automatic logic [INDEX-1:0] after(input logic [INDEX-1:0] index);
        after = index == INDEX'(DEPTH - 1) ? '0 : index + 1'b1;
    endfunction

    assign head  = slots[first];
    assign full  = count == COUNT'(DEPTH);
    assign empty = count == '0;

    always_ff @(posedge clk) begin
        if (rst) begin
            first <= '0;
            next  <= '0;
            count <= '0;
        end else begin
            if (push) next <= after(next);
            if (pop) first <= after(first);
            count <= count + COUNT'(push) - COUNT'(pop);
        end
        if (push) slots[next] <= push_word;
    end

`ifdef FORMAL
    // What the proofs look at: yosys reaches wires of a lower module, but not its memories.
    logic [DEPTH*WIDTH-1:0] contents;
    for (genvar k = 0; k < DEPTH; k++) assign contents[k*WIDTH+:WIDTH] = slots[k];
`endif

endmodule
