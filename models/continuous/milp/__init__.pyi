from .formulation import build_model as build_model
