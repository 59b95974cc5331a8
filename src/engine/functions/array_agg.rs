//! `array_agg` of documents is an array of documents: DataFusion's aggregate, whose result remembers that by a tag on the whole column.

use super::row::tag;
use assay_tables::EXTENSION;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature};
use datafusion::physical_expr::PhysicalSortExpr;
use std::sync::Arc;

/// The tag of an array whose items are jsonb.
pub(crate) const DOCUMENTS: &str = "jsonb[]";

/// The aggregate.
pub(crate) fn udaf() -> AggregateUDF {
    AggregateUDF::from(ArrayAgg { inner: array_agg_udaf().as_ref().clone() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayAgg {
    inner: AggregateUDF,
}

impl AggregateUDFImpl for ArrayAgg {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field(&self, args: &[FieldRef]) -> Result<FieldRef> {
        let field = self.inner.return_field(args)?;
        if args.first().is_none_or(|arg| tag(arg) != Some("jsonb")) {
            return Ok(field);
        }
        let metadata = [(EXTENSION.to_string(), DOCUMENTS.to_string())].into();
        Ok(Arc::new(field.as_ref().clone().with_metadata(metadata)))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if let ([by], Some(arg), true) = (args.order_bys, args.exprs.first(), args.is_distinct) {
            // The one order that DISTINCT has is its argument's, however differently the two were planned.
            let by = [PhysicalSortExpr { expr: Arc::clone(arg), options: by.options }];
            return self.inner.accumulator(AccumulatorArgs { order_bys: &by, ..args });
        }
        self.inner.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn with_beneficial_ordering(self: Arc<Self>, ordered: bool) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let inner = self.inner.clone().with_beneficial_ordering(ordered)?;
        Ok(inner.map(|inner| Arc::new(ArrayAgg { inner }) as _))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Reversed(Arc::new(udaf()))
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }
}
