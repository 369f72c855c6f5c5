"""Live, exact and explainable CRM statistics for EV-charging operators."""
