from .recipe import equal_requests as equal_requests
