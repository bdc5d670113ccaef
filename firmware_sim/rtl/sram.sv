// A memory: one write port, and reads in the cycle of their address. For synthesis a black box.
(* blackbox *)
module sram #(
    parameter int WIDTH = 32,
    parameter int ADDRESS = 8,  // bits: 2^ADDRESS words
    parameter int READS = 1     // read ports, side by side, the first lowest
) (
    input  logic                     clk,
    input  logic                     write,
    input  logic [      ADDRESS-1:0] write_address,
    input  logic [        WIDTH-1:0] write_word,
    input  logic [READS*ADDRESS-1:0] read_address,
    output logic [  READS*WIDTH-1:0] read_word
);

    logic [WIDTH-1:0] words[1<<ADDRESS];

    for (genvar r = 0; r < READS; r++) begin : reads
        assign read_word[r*WIDTH+:WIDTH] = words[read_address[r*ADDRESS+:ADDRESS]];
    end

    always_ff @(posedge clk) if (write) words[write_address] <= write_word;

endmodule
