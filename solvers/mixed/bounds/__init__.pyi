from .combinatorial import all_bounds as all_bounds
from .combinatorial import best_bound as best_bound
from .configuration import configuration_prices as configuration_prices
from .conflict_cliques import violated_cliques as violated_cliques
from .knapsack_prices import knapsack_price_bound as knapsack_price_bound
from .kv_area import mean_busy_time as mean_busy_time
from .kv_area import shortest_remaining_area as shortest_remaining_area
from .memory_prices import memory_price_bound as memory_price_bound
