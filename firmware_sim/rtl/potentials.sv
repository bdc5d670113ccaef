// The potential memory. An issue reads in its cycle and writes in the next; a read in between is forwarded.
module potentials (
    input logic clk,
    input logic rst,

    input  logic [tables::POTENTIAL-1:0] read_address,
    output logic [     tables::WORD-1:0] read_word,

    input logic                         store,  // the engine's result, written in the next cycle
    input logic [tables::POTENTIAL-1:0] store_address,
    input logic [     tables::WORD-1:0] store_word,

    output logic                         storing,  // the write port is the engine's in this cycle
    input  logic                         clear,    // else fire may clear a word
    input  logic [tables::POTENTIAL-1:0] clear_address,

    input logic                         load,
    input logic [tables::POTENTIAL-1:0] load_address,
    input logic [     tables::WORD-1:0] load_word
);

    logic [tables::POTENTIAL-1:0] stored_address;
    logic [     tables::WORD-1:0] stored_word;
    logic [     tables::WORD-1:0] memory_word;
    logic                         write;
    logic [tables::POTENTIAL-1:0] write_address;
    logic [     tables::WORD-1:0] write_word;
    logic                         forward;

    assign forward   = storing && stored_address == read_address;
    assign read_word = forward ? stored_word : memory_word;

    always_comb begin
        write = storing || clear || load;
        write_address = storing ? stored_address : clear_address;
        write_word = storing ? stored_word : '0;
        if (load) begin
            write_address = load_address;
            write_word = load_word;
        end
    end

    always_ff @(posedge clk) begin
        if (rst) storing <= 1'b0;
        else storing <= store;
        if (store) begin
            stored_address <= store_address;
            stored_word <= store_word;
        end
    end

    sram #(
        .WIDTH(tables::WORD),
        .ADDRESS(tables::POTENTIAL)
    ) memory (
        .clk(clk),
        .write(write),
        .write_address(write_address),
        .write_word(write_word),
        .read_address(read_address),
        .read_word(memory_word)
    );

endmodule
