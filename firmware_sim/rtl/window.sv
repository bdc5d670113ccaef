// Whether a destination wants what the lanes of a word send.
module window (
    input logic                     is_there,  // the step has this destination
    /* verilator lint_off UNUSED */
    input tables::destination_t     destination,
    /* verilator lint_on UNUSED */
    input logic [              9:0] y,         // the word's site
    input logic [              9:0] x,
    input logic [             13:0] channel,   // of its first lane
    input logic [tables::LANES-1:0] sends,

    output logic                     site_wanted,
    output logic [tables::LANES-1:0] wanted
);

    logic [13:0] lane_channel;

    assign site_wanted = is_there && y >= destination.y_low && y <= destination.y_high && x >= destination.x_low
        && x <= destination.x_high;

    always_comb begin
        lane_channel = '0;
        wanted = '0;
        if (sends != '0 && site_wanted) begin
            for (int lane = 0; lane < tables::LANES; lane++) begin
                lane_channel = channel + 14'(lane);
                wanted[lane] = sends[lane] && lane_channel >= destination.c_low && lane_channel <= destination.c_high;
            end
        end
    end

endmodule
