// The rules of routing and arbitration, written a second time from their text, in the plainest way.

// The output that a flit wants. A flit begins with 2 bits of kind, then 6 of x, 6 of y and 8 of port.
module exit_rule (
    input logic [flit::WIDTH-1:0] word,
    input logic [5:0] here_x,
    input logic [5:0] here_y,
    output logic [2:0] port
);

    localparam int FLIT = flit::WIDTH;
    wire [5:0] x = word[FLIT-3-:6];
    wire [5:0] y = word[FLIT-9-:6];

    always_comb
        if (x == here_x && y == here_y) port = x == 0 && y == 0 && word[FLIT-15-:8] == 255 ? 4 : 0;
        else if (x == here_x) port = y > here_y ? 3 : 1;
        else port = x > here_x ? 2 : 4;

endmodule

// The grants of an output: five inputs are asked in turn, beginning at the pointer.
module grant_rule (
    input logic clk,
    input logic rst,
    input logic [4:0] wanted,  // by the heads of the five inputs
    input logic credit,        // there is one
    output logic [2:0] pointer,
    output logic [4:0] winner
);

    logic [2:0] asked;

    always_comb begin
        winner = '0;
        for (int k = 0; k < 5; k++) begin
            asked = (pointer + k) % 5;
            if (credit && wanted[asked] && winner == 0) winner[asked] = 1'b1;
        end
    end

    always_ff @(posedge clk)
        if (rst) pointer <= 0;
        else for (int i = 0; i < 5; i++) if (winner[i]) pointer <= (i + 1) % 5;

endmodule
