"""gongshu (公数): open-source software for the authorized operation of public data (公共数据授权运营)."""

__version__ = "0.1.0"
