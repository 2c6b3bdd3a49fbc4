"""Mixed work against one real server for minutes, with faults and kills: see `__main__`."""
