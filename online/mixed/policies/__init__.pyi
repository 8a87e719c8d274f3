from .mc_sf import McSf as McSf
