"""Pure: what a month of calls costs, who the income goes to, what is disputed. Whole fen, sums exact."""
