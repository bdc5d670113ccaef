// The fire unit: walks over a step's words, compares them with the ladder, and sends what fires, then the ENDs.
module fire (
    input logic clk,
    input logic rst,

    input  logic                    startable,
    input  logic [tables::TILE-1:0] chosen,
    output logic [tables::TILE-1:0] tile,
    /* verilator lint_off UNUSED */
    input  tables::step_t           step_record,  // of `tile`'s current step
    input  tables::tile_t           tile_record,
    /* verilator lint_on UNUSED */
    output logic                    step_over,
    output logic                    end_sent,
    output logic [             2:0] end_place,

    output logic [                                  tables::CONSTANT-1:0] ladder_address,
    input  logic [                     tables::LADDER*tables::WORD-1:0] ladder_words,
    output logic [                                  tables::CONSTANT-1:0] bias_address,
    input  logic [                                    tables::WORD-1:0] bias_word,
    input  logic [tables::DESTINATIONS*tables::DESTINATION_WIDTH-1:0] destination_words,

    input  logic                         engine_issues,
    input  logic                         engine_writes,
    output logic                         read,           // this cycle reads and compares the word at `address`
    output logic                         write,          // this cycle clears it
    output logic [tables::POTENTIAL-1:0] address,
    input  logic [     tables::WORD-1:0] potential_word,
    output logic [     tables::WORD-1:0] results,        // counts or drives of the word that is read

    output logic        holds,  // a flit waits for the out FIFO
    output flit::flit_t held_flit,
    input  logic        enters
);

    localparam int LANES = tables::LANES;
    localparam int DESTINATIONS = tables::DESTINATIONS;
    localparam int PAIRS = LANES * DESTINATIONS;
    localparam int INDEX = $clog2(LANES);

    // The step under way, and its word.
    logic busy;
    logic [tables::TILE-1:0] taken_tile;
    logic [tables::POTENTIAL-1:0] next_address;
    logic [10:0] row, column, word;
    // What is left of a word that has been read, then of the step.
    logic [PAIRS-1:0] flits;  // lane * DESTINATIONS + destination
    logic clearing;
    logic [tables::WORD-1:0] fired;
    logic [DESTINATIONS-1:0] ends;

    logic active, due, in_word, in_ends;
    logic [10:0] here_row, here_column, here_word;
    logic [9:0] y, x;
    logic [13:0] first_channel;  // of the word
    logic [PAIRS-1:0] wanted, flits_left;
    logic [DESTINATIONS-1:0] ends_left;
    logic word_over, last_word;

    // A free unit takes a step and may read in the same cycle.
    assign active = busy || startable;
    assign tile = busy ? taken_tile : chosen;
    assign address = busy ? next_address : tile_record.base;
    assign here_row = busy ? row : '0;
    assign here_column = busy ? column : '0;
    assign here_word = busy ? word : '0;
    assign y = tile_record.y + here_row[9:0];
    assign x = tile_record.x + here_column[9:0];
    assign first_channel = tile_record.channel + 14'({here_word, INDEX'(0)});

    assign in_word = flits != '0 || clearing;
    assign in_ends = ends != '0;
    assign due = active && !in_word && !in_ends;
    assign read = due && !engine_issues;
    assign write = clearing && !engine_writes;
    assign ladder_address = step_record.ladder + (step_record.per_channel ? tables::CONSTANT'(here_word) : '0);
    assign bias_address = step_record.bias + tables::CONSTANT'(here_word);

    // What a word computes, and who wants it.
    logic [LANES-1:0] valid, sends;
    logic [DESTINATIONS-1:0] site_wanted;
    logic [DESTINATIONS*LANES-1:0] windows_wanted;

    for (genvar k = 0; k < DESTINATIONS; k++) begin : windows
        window of_destination (
            .is_there(step_record.destinations[k]),
            .destination(destination_words[k*tables::DESTINATION_WIDTH+:tables::DESTINATION_WIDTH]),
            .y(y),
            .x(x),
            .channel(first_channel),
            .sends(sends),
            .site_wanted(site_wanted[k]),
            .wanted(windows_wanted[k*LANES+:LANES])
        );

        for (genvar lane = 0; lane < LANES; lane++) begin : lanes
            assign wanted[lane*DESTINATIONS+k] = windows_wanted[k*LANES+lane];
        end
    end

    // Nothing switches but in a cycle that reads. Loops, not generated blocks: a simulator then keeps them short.
    logic [31:0] drive;
    logic [3:0] count;
    logic [14:0] place_in_tile;

    always_comb begin
        {drive, count, place_in_tile} = '0;
        {valid, sends, results} = '0;
        if (read) begin
            for (int lane = 0; lane < LANES; lane++) begin
                drive = potential_word[lane*32+:32] + (step_record.biased ? bias_word[lane*32+:32] : '0);
                place_in_tile = {here_word, INDEX'(lane)};
                valid[lane] = place_in_tile < tile_record.channels;
                count = '0;
                for (int k = 0; k < tables::LADDER; k++)
                    if (4'(k) < step_record.count
                        && signed'(drive) >= signed'(ladder_words[k*tables::WORD+lane*32+:32]))
                        count = count + 4'd1;
                sends[lane] = valid[lane] && (step_record.sends_drive || count != '0);
                results[lane*32+:32] = !valid[lane] ? '0 : step_record.sends_drive ? drive : 32'(count);
            end
        end
    end

    // The flit that is next: the lowest bit of `flits`, or of `ends`.
    logic [INDEX-1:0] sender;
    logic [2:0] place;
    /* verilator lint_off UNUSED */
    tables::destination_t destination;  // its window has been looked at
    /* verilator lint_on UNUSED */

    always_comb begin
        {sender, place} = '0;
        for (int k = PAIRS - 1; k >= 0; k--) if (flits[k]) {sender, place} = (INDEX + 3)'(k);
        if (in_ends) for (int k = DESTINATIONS - 1; k >= 0; k--) if (ends[k]) place = 3'(k);
        destination = destination_words[place*tables::DESTINATION_WIDTH+:tables::DESTINATION_WIDTH];
        holds = flits != '0 || in_ends;
        held_flit.x = destination.x;
        held_flit.y = destination.y;
        held_flit.port = destination.port;
        held_flit.t = '0;
        held_flit.kind = flit::END;
        held_flit.sy = '0;
        held_flit.sx = '0;
        held_flit.channel = destination.dc;
        held_flit.value = '0;
        if (!in_ends) begin
            held_flit.kind = step_record.sends_drive ? flit::POTENTIAL : flit::SPIKE;
            held_flit.sy = y + destination.dy;
            held_flit.sx = x + destination.dx;
            held_flit.channel = first_channel + 14'(sender) + destination.dc;
            held_flit.value = fired[sender*32+:32];
        end
    end

    assign flits_left = enters && !in_ends ? flits & (flits - 1'b1) : flits;
    assign ends_left = enters ? ends & (ends - 1'b1) : ends;
    assign end_sent = enters && in_ends;
    assign end_place = place;

    assign word_over = in_word ? flits_left == '0 && (!clearing || write) : read && wanted == '0 && !step_record.clear;
    assign last_word = here_row == tile_record.rows - 11'd1 && here_column == tile_record.columns - 11'd1
        && here_word == tile_record.words - 11'd1;
    assign step_over = in_ends ? ends_left == '0 : word_over && last_word && step_record.destinations == '0;

    always_ff @(posedge clk) begin
        if (rst) begin
            busy <= 1'b0;
            flits <= '0;
            ends <= '0;
            clearing <= 1'b0;
        end else begin
            busy <= active && !step_over;
            if (read) begin
                flits <= wanted;
                clearing <= step_record.clear;
            end else begin
                flits <= in_ends ? flits : flits_left;
                if (write) clearing <= 1'b0;
            end
            ends <= in_ends ? ends_left : word_over && last_word ? step_record.destinations : '0;
        end

        if (read) fired <= results;
        if (active) begin
            taken_tile <= tile;
            next_address <= address;
            row <= here_row;
            column <= here_column;
            word <= here_word;
        end
        if (word_over && !last_word) begin
            next_address <= address + 1'b1;
            word <= here_word == tile_record.words - 11'd1 ? '0 : here_word + 11'd1;
            if (here_word == tile_record.words - 11'd1) begin
                column <= here_column == tile_record.columns - 11'd1 ? '0 : here_column + 11'd1;
                if (here_column == tile_record.columns - 11'd1) row <= here_row + 11'd1;
            end
        end
    end

endmodule
