// The synapse engine: one issue a cycle while it holds an event. Addresses only move by additions.
module engine (
    input logic clk,
    input logic rst,

    output logic free,      // empty, or in its last issue: the next event may be handed over
    input  logic hand_over,
    input  tables::work_t next_work,
    input  logic [31:0] next_value,

    output logic [tables::WEIGHT-1:0] weight_address,
    input  logic [tables::LANES*8-1:0] weight_word,
    output logic [tables::SHIFT-1:0] shift_address,
    input  logic [tables::LANES*5-1:0] shift_word,

    output logic issue,       // this cycle is an issue
    output logic real_issue,  // that has a target
    output logic [tables::POTENTIAL-1:0] address,
    input  logic [tables::WORD-1:0] old_word,
    output logic [tables::WORD-1:0] new_word
);

    localparam int LANES = tables::LANES;
    localparam int INDEX = $clog2(LANES);

    logic active;
    /* verilator lint_off UNUSED */
    tables::work_t work;  // the counters below begin with the rest of it
    /* verilator lint_on UNUSED */
    logic [31:0] value;
    logic [7:0] remaining;  // unary: repeats to do; bitwise: planes to do
    logic fresh;            // the first repeat of a word
    logic [10:0] word, first_word, last_word;
    logic [10:0] rows, columns;
    logic [tables::POTENTIAL-1:0] potential_row, potential;
    logic [tables::WEIGHT-1:0] weight_row, weight;
    logic [LANES*8-1:0] held_weights;
    logic [LANES*5-1:0] held_shifts;

    logic [2:0] plane;
    logic [7:0] fewer;
    logic last_repeat, last_issue;
    logic [LANES-1:0] wanted;

    assign issue = active;
    assign real_issue = active && !work.none;
    assign free = !active || last_issue;
    assign address = potential + tables::POTENTIAL'(word);
    assign weight_address = weight + tables::WEIGHT'(word);
    assign shift_address = work.shift + tables::SHIFT'(word);
    assign first_word = 11'(work.low >> INDEX);
    assign last_word = 11'(work.high >> INDEX);

    always_comb begin
        plane = '0;
        for (int p = 0; p < 8; p++) if (remaining[p]) plane = 3'(p);
        fewer = work.bitwise ? remaining & ~(8'd1 << plane) : remaining - 8'd1;
        last_repeat = work.load || work.maximum || fewer == '0;
        last_issue = work.none || (last_repeat && word == last_word && columns == '0 && rows == '0);
    end

    always_ff @(posedge clk) begin
        if (rst) active <= 1'b0;
        else active <= hand_over || (active && !last_issue);

        if (hand_over) begin
            work <= next_work;
            value <= next_value;
            remaining <= next_value[7:0];
            fresh <= 1'b1;
            word <= 11'(next_work.low >> INDEX);
            rows <= next_work.rows;
            columns <= next_work.columns;
            potential_row <= next_work.potential;
            potential <= next_work.potential;
            weight_row <= next_work.weight;
            weight <= next_work.weight;
        end else if (active) begin
            remaining <= last_repeat ? value[7:0] : fewer;
            fresh <= last_repeat;
            if (last_repeat) begin
                word <= word == last_word ? first_word : word + 11'd1;
                if (word == last_word) begin
                    columns <= columns == '0 ? work.columns : columns - 11'd1;
                    if (columns == '0) begin
                        rows <= rows - 11'd1;
                        potential_row <= potential_row - work.row_words;
                        potential <= potential_row - work.row_words;
                        weight_row <= weight_row + work.weight_row;
                        weight <= weight_row + work.weight_row;
                    end else begin
                        potential <= potential - tables::POTENTIAL'(work.words);
                        weight <= weight + work.weight_side;
                    end
                end
            end
        end

        // Weights are read once for a word, and held for its repeats.
        if (fresh) begin
            held_weights <= weight_word;
            held_shifts  <= shift_word;
        end
    end

    // Nothing switches but in an issue with a target. Loops, not generated blocks: a simulator then keeps them short.
    logic [LANES*8-1:0] weights;
    logic [LANES*5-1:0] shifts;
    logic [31:0] old, product;
    logic [5:0] distance;
    logic [14:0] channel;

    always_comb begin
        weights = fresh ? weight_word : held_weights;
        shifts = fresh ? shift_word : held_shifts;
        {old, distance, product, channel} = '0;
        wanted = '0;
        new_word = old_word;
        if (real_issue) begin
            for (int lane = 0; lane < LANES; lane++) begin
                old = old_word[lane*32+:32];
                distance = 6'(shifts[lane*5+:5]) + (work.bitwise ? 6'(plane) : 6'd0);
                product = {{24{weights[lane*8+7]}}, weights[lane*8+:8]} << distance;
                channel = {word, INDEX'(lane)};
                wanted[lane] = channel >= 15'(work.low) && channel <= 15'(work.high);
                if (wanted[lane] && !work.maximum) new_word[lane*32+:32] = old + (work.load ? value : product);
                if (wanted[lane] && work.maximum && signed'(value) > signed'(old)) new_word[lane*32+:32] = value;
            end
        end
    end

endmodule
